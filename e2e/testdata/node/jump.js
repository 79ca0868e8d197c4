// Logs in to entry and through it to home with npm's ssh2, as lab services do.
//
// usage: node jump.js PORT USER KEYFILE LOGIN FILE [ANSWERS-SOCKET]
//
// Prints what `exec` on home gave, its exit status, and the round trip of a file
// over SFTP. With a socket prompts are answered by whoever listens there; without
// one there is nobody who could answer, as in an unattended job.
"use strict";
const fs = require("fs");
const net = require("net");
const { Client } = require("ssh2");

const [port, user, keyfile, login, file, answers] = process.argv.slice(2);

function fail(where) {
  return (err) => {
    console.log(`${where}: ${err.message}`);
    process.exit(1);
  };
}

function answer(prompt, done) {
  let reply = "";
  const s = net.connect(answers, () => s.end(prompt));
  s.setEncoding("utf8");
  s.on("data", (chunk) => (reply += chunk));
  s.on("error", fail("answers"));
  s.on("close", () => done(reply.slice(1)));
}

function options(more) {
  const o = { readyTimeout: 60000, tryKeyboard: Boolean(answers), ...more };
  if (!answers) o.privateKey = fs.readFileSync(keyfile);
  return o;
}

function prompts(client) {
  client.on("keyboard-interactive", (name, instructions, lang, questions, finish) => {
    const all = [];
    const next = () => {
      if (all.length === questions.length) return finish(all);
      answer(questions[all.length].prompt, (a) => {
        all.push(a);
        next();
      });
    };
    next();
  });
}

const outer = new Client();
const inner = new Client();
prompts(outer);
prompts(inner);
outer.on("error", fail("entry"));
inner.on("error", fail("home"));

outer.on("ready", () => {
  outer.forwardOut("127.0.0.1", 0, "home", 22, (err, sock) => {
    if (err) return fail("jump")(err);
    inner.connect(options({ sock, username: login }));
  });
});

inner.on("ready", () => {
  inner.exec("cat; echo problem >&2; exit 11", (err, stream) => {
    if (err) return fail("exec")(err);
    let stdout = "";
    let stderr = "";
    stream.on("data", (d) => (stdout += d));
    stream.stderr.on("data", (d) => (stderr += d));
    stream.on("close", (status) => {
      console.log(`stdout: ${stdout.trim()}\nstderr: ${stderr.trim()}\nstatus: ${status}`);
      transfer();
    });
    stream.end("from node\n");
  });
});

function transfer() {
  const data = Buffer.alloc(1 << 20, "0123456789abcdef");
  inner.sftp((err, sftp) => {
    if (err) return fail("sftp")(err);
    sftp.writeFile(file, data, (err) => {
      if (err) return fail("write")(err);
      sftp.readFile(file, (err, back) => {
        if (err) return fail("read")(err);
        console.log(`sftp: ${data.equals(back)}`);
        inner.end();
        outer.end();
      });
    });
  });
}

outer.connect(options({ host: "127.0.0.1", port: Number(port), username: user }));
