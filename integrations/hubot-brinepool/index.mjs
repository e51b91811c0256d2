// Description:
//   Development environments from chat: hands what people say to Brinepool, and says what it answers.
//
// Configuration:
//   BRINE_URL - where Brinepool is; default http://127.0.0.1:8420
//   BRINE_BOT - the name of this bot in Brinepool; default hubot
//   BRINE_CHAT_SECRET or BRINE_CHAT_SECRET_FILE - the secret that both sides sign with, or the file that holds it
//   BRINE_LISTEN - brine: what begins with “brine” (default); all: also what no other script understands
//   BRINE_DIRECT_ROOMS - a regular expression for the ids of rooms with one person, such as ^D in Slack
//   BRINE_TIMEOUT - for how many seconds to wait for Brinepool; default 15
//
// Commands:
//   hubot brine <command> - development environments; `hubot brine help` tells what there is

export { default } from './src/script.mjs'
