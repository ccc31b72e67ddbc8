const express = require("express");
const fs = require("node:fs");

const app = express();
app.get("/", (request, response) => response.send(`Hello from ${process.env.DYNO}, ${process.env.NODE_ENV}\n`));
app.get("/built", (request, response) => response.send(fs.readFileSync(`${__dirname}/built.txt`)));
const server = app.listen(process.env.PORT, () => console.log("listening"));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
