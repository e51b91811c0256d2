const shelves = require("./shelves");

console.log(shelves.length);
