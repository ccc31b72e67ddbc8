// A process type that is up at once: it listens on nothing.
console.log("working");
setInterval(() => {}, 1000);
