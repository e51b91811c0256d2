require("http").createServer((request, answer) => answer.end("shop")).listen(process.env.PORT, process.env.HOST);
