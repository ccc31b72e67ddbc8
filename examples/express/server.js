const express = require("express");

const app = express();
app.get("/", (request, response) => {
  response.type("text").send(`Hello from ${process.env.DYNO}, ${process.env.GREETING ?? "no greeting"}\n`);
});

const server = app.listen(process.env.PORT, () => console.log(`listening on ${process.env.PORT}`));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
