// Prints what happens in the chats of a topic, one readable line each: text, media, statuses, calls.
//
// Every field but kind and source may be absent, so a line is printed where all it needs is there. The key always is:
// the chat, or the instance where an event has no chat. Other kinds are passed over, those of later versions among them.
//
// Usage: print_chats.js bootstrap topic records (it ends after reading that many; an application would go on).
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require("kafkajs");
const lz4 = require("lz4js");

// The bridge compresses with lz4 unless told otherwise, and kafkajs brings only gzip.
CompressionCodecs[CompressionTypes.LZ4] = () => ({ decompress: async (bytes) => Buffer.from(lz4.decompress(bytes)) });

const [bootstrap, topic, records] = process.argv.slice(2);

function line(chat, { message, status, call }) {
  const content = message?.content;
  if (content?.type === "text" && content.text !== undefined) return `${chat} text: ${content.text}`;
  if (content?.download_url) return `${chat} ${content.type}: ${content.download_url}`;
  if (status?.message_id) return `${chat} message ${status.message_id}: ${status.state}`;
  if (call) return `${chat} ${call.direction} call: ${call.state}`;
  return undefined;
}

async function main() {
  const consumer = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR }).consumer({ groupId: "node" });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  let left = Number(records);
  let patience;
  await new Promise((resolve, reject) => {
    patience = setTimeout(() => reject(new Error(`${left} records are missing`)), 60_000);
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    consumer.run({
      eachMessage: async ({ message }) => {
        const text = line(message.key.toString(), JSON.parse(message.value));
        if (text) console.log(text);
        if (--left === 0) resolve();
      },
    });
  });
  clearTimeout(patience);
  await consumer.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
