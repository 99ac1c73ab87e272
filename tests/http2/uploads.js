// Fifty uploads at once over one connection, with trailers both ways: prints how many answers were right, and what
// stood behind the body of an answer.
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
    if (++over === count) { console.log("right", right); call(); }
  });
  request.end(Buffer.alloc(size, 97));
}
function call() {
  const request = client.request({ ":path": "/rpc", te: "trailers" });
  request.on("trailers", (fields) => {
    for (const name of ["x-blocks", "grpc-status"]) {
      if (name in fields) console.log(name, fields[name]);
    }
  });
  request.on("error", (error) => console.log(error.message));
  request.on("close", () => client.close());
  request.resume();
  request.end();
}
