import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.camel.Exchange;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.component.http.HttpComponent;
import org.apache.camel.component.kafka.KafkaConstants;
import org.apache.camel.main.Main;

/**
 * The loop as Apache Camel expresses it: receive, publish, delete after the acknowledgement; one route an instance, each
 * step waiting for the one before.
 *
 * <p>Arguments: bootstrap servers, topic, and a file with a line "url id token" for each instance; then "webhook" and a
 * port, to be called in place of polling: one route that answers after the acknowledgement.
 */
public final class CamelLoop extends RouteBuilder {
    private static final ObjectMapper JSON = new ObjectMapper();
    private final String brokers;
    private final String topic;
    private final Path targets;
    private final String webhookPort;

    private CamelLoop(String[] args) {
        brokers = args[0];
        topic = args[1];
        targets = Path.of(args[2]);
        webhookPort = args.length > 4 ? args[4] : null;
    }

    public static void main(String[] args) throws Exception {
        Main main = new Main();
        main.configure().addRoutesBuilder(new CamelLoop(args));
        main.run();
    }

    @Override
    public void configure() throws Exception {
        if (webhookPort != null) {
            webhook();
            return;
        }
        HttpComponent http = getContext().getComponent("http", HttpComponent.class);
        // The default of 20 a host would let twenty instances poll.
        http.setConnectionsPerRoute(20_000);
        http.setMaxTotalConnections(20_000);
        // One producer for all, as everywhere else.
        from("direct:publish").to("kafka:" + topic + "?brokers=" + brokers + "&synchronous=true");
        for (String line : Files.readAllLines(targets)) {
            String[] target = line.split(" ");
            String base = target[0] + "/waInstance" + target[1];
            // delay=-1: again as soon as the exchange before has ended.
            from("timer:" + target[1] + "?delay=-1&synchronous=true")
                .to(base + "/receiveNotification/" + target[2] + "?httpMethod=GET&receiveTimeout=20")
                .process(exchange -> read(exchange, target[1]))
                .filter(exchangeProperty("receipt").isNotNull())
                .to("direct:publish")
                .removeHeaders("*")
                .setHeader(Exchange.HTTP_PATH, simple("/${exchangeProperty.receipt}"))
                .setBody(constant(null))
                .to(base + "/deleteNotification/" + target[2] + "?httpMethod=DELETE");
        }
    }

    private void webhook() {
        // Not synchronous: the answer waits for the acknowledgement all the same, and no thread does.
        from("netty-http:http://127.0.0.1:" + webhookPort + "/green-api?matchOnUriPrefix=true&httpMethodRestrict=POST")
            .convertBodyTo(byte[].class)
            .process(exchange -> {
                String path = exchange.getIn().getHeader(Exchange.HTTP_PATH, String.class);
                exchange.getIn().removeHeaders("*");
                exchange.getIn().setHeader(KafkaConstants.KEY, path.substring(path.lastIndexOf('/') + 1));
            })
            .to("kafka:" + topic + "?brokers=" + brokers + "&valueSerializer=org.apache.kafka.common.serialization.ByteArraySerializer")
            .removeHeaders("*")
            .setBody(constant(null))
            // Without a body it would be 204.
            .setHeader(Exchange.HTTP_RESPONSE_CODE, constant(200));
    }

    private static void read(Exchange exchange, String instance) throws Exception {
        JsonNode answer = JSON.readTree(exchange.getIn().getBody(byte[].class));
        exchange.getIn().removeHeaders("*");
        if (answer != null && answer.hasNonNull("receiptId")) {
            exchange.setProperty("receipt", answer.get("receiptId").asText());
            exchange.getIn().setBody(answer.get("body").toString());
            exchange.getIn().setHeader(KafkaConstants.KEY, instance);
        }
    }
}
