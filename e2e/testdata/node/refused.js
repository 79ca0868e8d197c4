// Jumps through entry with npm's ssh2 to a machine that isn't opened, and prints
// what a script can tell its user.
//
// usage: node refused.js PORT USER KEYFILE TARGET
"use strict";
const fs = require("fs");
const { Client } = require("ssh2");

const [port, username, keyfile, target] = process.argv.slice(2);
const privateKey = fs.readFileSync(keyfile);

function over(text) {
  console.log(text);
  process.exit();
}

const outer = new Client();
const inner = new Client();
outer.on("error", (err) => over(`entry: ${err.message}`));
inner.on("error", (err) => over(`refused: ${err.message}`));
inner.on("close", () => over("closed without an error"));

outer.on("ready", () => {
  outer.forwardOut("127.0.0.1", 0, target, 22, (err, sock) => {
    if (err) over(`jump: ${err.message}`);
    inner.connect({ sock, username, privateKey, readyTimeout: 60000 });
  });
});

inner.on("ready", () => {
  inner.exec("true", (err, stream) => {
    if (err) over(`exec: ${err.message}`);
    let said = "";
    stream.resume();
    stream.stderr.on("data", (d) => (said += d));
    stream.on("close", () => over(`opened: ${said}`));
  });
});

outer.connect({ host: "127.0.0.1", port: Number(port), username, privateKey, readyTimeout: 60000 });
