import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Prints what happens in the chats of a topic, one readable line each: text, media, statuses, calls.
 *
 * <p>Every field but kind and source may be absent, so a line is printed where all it needs is there. The key always is:
 * the chat, or the instance where an event has no chat. Other kinds are passed over, those of later versions among them.
 *
 * <p>Usage: PrintChats bootstrap topic records (it ends after reading that many; an application would go on).
 */
public class PrintChats {
    public static void main(String[] args) throws Exception {
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        var json = new ObjectMapper();
        var config = Map.<String, Object>of(
                "bootstrap.servers", args[0], "group.id", "java", "auto.offset.reset", "earliest");
        int left = Integer.parseInt(args[2]);
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(args[1]));
            while (left > 0) {
                var records = consumer.poll(Duration.ofSeconds(30));
                if (records.isEmpty()) throw new IllegalStateException(left + " records are missing");
                for (var record : records) {
                    left--;
                    String line = line(record.key(), json.readTree(record.value()));
                    if (line != null) out.println(line);
                }
            }
        }
    }

    private static String line(String chat, JsonNode event) {
        JsonNode content = event.at("/message/content"), status = event.path("status"), call = event.path("call");
        if (content.path("type").asText().equals("text") && content.has("text"))
            return chat + " text: " + content.get("text").asText();
        if (content.has("download_url"))
            return chat + " " + content.get("type").asText() + ": " + content.get("download_url").asText();
        if (status.has("message_id"))
            return chat + " message " + status.get("message_id").asText() + ": " + status.get("state").asText();
        if (!call.isMissingNode())
            return chat + " " + call.get("direction").asText() + " call: " + call.get("state").asText();
        return null;
    }
}
