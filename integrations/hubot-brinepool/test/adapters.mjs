// Adapters that the tests talk through. `default` is one for `hubot --file`: lines of JSON on stdin and stdout.

import { createInterface } from 'node:readline'

import { Adapter, TextMessage } from 'hubot'

/** A chat service in memory: keeps what the bot says, and has only the rooms and the people that it is given. */
export class Chat extends Adapter {
  said = []
  count = 0

  constructor (robot, rooms, people) {
    super(robot)
    this.places = new Set([...rooms, ...people])
  }

  async run () {
    this.emit('connected')
  }

  async send (envelope, ...texts) {
    this.keep(envelope, texts, null)
  }

  async reply (envelope, ...texts) {
    this.keep(envelope, texts, envelope.user.id)
  }

  keep ({ room, user }, texts, mention) {
    const place = room ?? user.id
    if (!this.places.has(place)) throw new Error(`no such room: ${place}`)
    for (const text of texts) this.say({ room: place, text, mention, id: `bot-${++this.count}` })
  }

  say (entry) {
    this.said.push(entry)
  }

  /** Somebody says something. Without a room it is said to the bot alone, which adapters make look addressed to it. */
  async hear ({ user, room, text, id }) {
    const sender = this.robot.brain.userForId(user.id, { ...user, room })
    const heard = new TextMessage(sender, room ? text : `${this.robot.name} ${text}`, id ?? `msg-${++this.count}`)
    heard.room = room
    await this.receive(heard)
  }
}

/** The same over stdin and stdout; ends with stdin. LINES_ROOMS and LINES_PEOPLE: who and what there is. */
class Lines extends Chat {
  constructor (robot) {
    super(robot, process.env.LINES_ROOMS.split(','), process.env.LINES_PEOPLE.split(','))
    robot.on('scripts have loaded', () => print({ ready: robot.server.address().port }))
  }

  async run () {
    const lines = createInterface({ input: process.stdin })
    lines.on('line', line => this.hear(JSON.parse(line)))
    lines.on('close', () => process.exit(0))
    await super.run()
  }

  say (entry) {
    print({ said: entry })
  }
}

const print = value => process.stdout.write(`${JSON.stringify(value)}\n`)

export default { use: robot => new Lines(robot) }
