import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Produces one record per key with the Java client as it comes, and says where each one went: the partitioner
 * that the bridge has to agree with.
 *
 * <p>Usage: JavaProducer bootstrap topic &lt; keys. Keys are lines of UTF-8; the answer is key, tab, partition.
 */
public class JavaProducer {
    public static void main(String[] args) throws Exception {
        if (args.length != 2) {
            System.err.println("usage: JavaProducer bootstrap topic < keys");
            System.exit(64);
        }
        // Not the platform's encoding: keys are UTF-8 whatever the locale of the machine.
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        // Idempotent, it can hang: where a topic is made by its first records, a broker that does not lead a partition yet
        // refuses a batch and takes the next, and from then on the sequence is out of order until the time is up.
        var config = Map.<String, Object>of("bootstrap.servers", args[0], "enable.idempotence", false);

        List<String> keys = in.lines().toList();
        List<Future<RecordMetadata>> sent = new ArrayList<>(keys.size());
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            for (String key : keys) {
                sent.add(producer.send(new ProducerRecord<>(args[1], key, key)));
            }
            for (int i = 0; i < keys.size(); i++) {
                out.println(keys.get(i) + "\t" + sent.get(i).get().partition());
            }
        }
        out.flush();
    }
}
