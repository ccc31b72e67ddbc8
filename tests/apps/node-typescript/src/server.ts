import { readFileSync } from "node:fs";
import express, { type Request, type Response } from "express";

const app = express();
app.get("/", (request: Request, response: Response) => {
  response.send(`Hello from ${process.env.DYNO}, ${process.env.NODE_ENV}\n`);
});
app.get("/built", (request: Request, response: Response) => {
  response.send(readFileSync("built.txt", "utf8"));
});
const server = app.listen(Number(process.env.PORT), () => console.log("listening"));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
