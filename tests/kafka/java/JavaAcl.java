import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/**
 * Gives a user rights, or takes them away: kafka-acls.sh is not in Maven Central.
 *
 * <p>Usage: JavaAcl bootstrap allow|revoke user TYPE:name:OPERATION..., such as TOPIC:chat-events:WRITE
 */
public class JavaAcl {
    public static void main(String[] args) throws Exception {
        if (args.length < 4) {
            System.err.println("usage: JavaAcl bootstrap allow|revoke user TYPE:name:OPERATION...");
            System.exit(64);
        }
        List<AclBinding> rights = new ArrayList<>();
        for (int i = 3; i < args.length; i++) {
            String[] parts = args[i].split(":");
            rights.add(new AclBinding(
                new ResourcePattern(ResourceType.fromString(parts[0]), parts[1], PatternType.LITERAL),
                new AccessControlEntry(
                    "User:" + args[2], "*", AclOperation.fromString(parts[2]), AclPermissionType.ALLOW)));
        }
        try (var admin = Admin.create(Map.<String, Object>of("bootstrap.servers", args[0]))) {
            switch (args[1]) {
                case "allow" -> admin.createAcls(rights).all().get();
                case "revoke" -> {
                    var filters = rights.stream().map(AclBinding::toFilter).toList();
                    int gone = admin.deleteAcls(filters).all().get().size();
                    if (gone != rights.size()) {
                        throw new IllegalStateException(gone + " of " + rights.size() + " rights were there to take away");
                    }
                }
                default -> throw new IllegalArgumentException(args[1]);
            }
        }
    }
}
