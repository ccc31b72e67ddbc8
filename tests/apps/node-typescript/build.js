// Needs what only development has: it is there while the app is built, and pruned afterwards.
require("node:fs").writeFileSync("built.txt", require("left-pad")("built", 8));
