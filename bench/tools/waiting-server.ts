// A process whose HTTP endpoint answers every request after a wait: `bun waiting-server.ts 300`.
// It prints its address.

const waitMs = Number(process.argv[2]);
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch() {
    await Bun.sleep(waitMs);
    return new Response("The mayor of Orn is Kelmar.");
  },
});
process.stdout.write(`${server.url.href}\n`);
