// Fifty uploads at once over one connection, with trailers: prints how many answers were right.
const http2 = require("http2");
const [base, count, size] = [process.argv[2], 50, 200000];
const client = http2.connect(base, { rejectUnauthorized: false });
client.on("error", (error) => { console.log("connection", error.message); process.exit(1); });
let [over, right] = [0, 0];
for (let number = 0; number < count; number++) {
  const request = client.request({ ":method": "POST", ":path": "/length" }, { waitForTrailers: true });
  let text = "";
  request.on("wantTrailers", () => request.sendTrailers({ "x-number": String(number) }));
  request.on("data", (block) => { text += block; });
  request.on("error", (error) => console.log(number, error.message));
  request.on("close", () => {
    if (text.endsWith(" " + size)) right += 1;
    if (++over === count) { console.log("right", right); client.close(); }
  });
  request.end(Buffer.alloc(size, 97));
}
