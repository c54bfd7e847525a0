// What a client of Chatwoot that somebody else wrote does to a conversation; prints what it was told.
// node chatwoot.cjs BASE_URL TOKEN CONVERSATION
const ChatwootClient = require("@figuro/chatwoot-sdk").default;

const [basePath, token, key] = process.argv.slice(2);
const client = new ChatwootClient({ config: { basePath, with_credentials: true, credentials: "include", token } });
const here = { accountId: 1, conversationId: Number(key) };

async function main() {
  const told = {};
  told.profile = await client.profile.profile();
  told.listed = await client.conversations.list({ accountId: 1, status: "open", labels: ["vip"] });
  told.filtered = await client.conversations.filter({
    accountId: 1,
    page: 1,
    payload: [{ attribute_key: "status", filter_operator: "equal_to", values: ["open"], query_operator: null }],
  });
  told.read = await client.conversations.get(here);
  const content = "Grüße, **Alex**\r\n\r\n🙂 =1+1";
  told.sent = await client.messages.create({
    ...here,
    data: { content, message_type: "outgoing", content_attributes: { cairnops_run_key: "run-npm" } },
  });
  told.noted = await client.messages.create({ ...here, data: { content: "asked the carrier", private: true } });
  told.messages = await client.messages.list(here);
  told.labels = await client.conversationLabels.add({ ...here, data: { labels: ["vip", "escalation"] } });
  told.standing = await client.conversationLabels.list(here);
  told.assigned = await client.conversationAssignment.assign({ ...here, data: { team_id: 1 } });
  told.toggled = await client.conversations.toggleStatus({ ...here, data: { status: "resolved" } });
  told.lost = await client.conversations
    .get({ ...here, conversationId: 999 })
    .then(() => "found", (error) => ({ status: error.status, body: error.body }));
  process.stdout.write(JSON.stringify(told));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
