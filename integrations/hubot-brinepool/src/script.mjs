// The script that Hubot loads: what people say goes to Brinepool, what Brinepool says goes to people.

import { Brinepool } from './brinepool.mjs'
import { Rooms } from './rooms.mjs'
import { readSettings, SettingError } from './settings.mjs'
import { mount, Refused, Updates } from './updates.mjs'
import { mentioned, worded } from './wording.mjs'

// What follows the bot's name. No letter may stand right before it, or “hubots are …” would be for us.
const VERB = /(?<!\w)brine(?:pool)?[:,]?(?:\s+([\s\S]*))?$/i
const ANYTHING = /(?<!\w)([\s\S]+)$/i

/** @param {import('hubot').Robot} robot */
export default function brinepool (robot) {
  let settings
  try {
    settings = readSettings(process.env)
  } catch (error) {
    if (!(error instanceof SettingError)) throw error
    return explain(robot, `Brinepool is not set up in this Hubot: ${error.message}.`)
  }
  new Script(robot, settings).load()
}

/** Without settings nothing works; whoever asks is told so, and the log too. */
function explain (robot, sentence) {
  robot.logger.error(sentence)
  robot.respond(VERB, { id: 'brinepool' }, response => response.send(sentence))
}

class Script {
  constructor (robot, settings) {
    this.robot = robot
    this.settings = settings
    this.rooms = new Rooms(settings.direct, robot.brain)
    this.service = new Brinepool(settings)
  }

  load () {
    this.robot.helpStrings.push('hubot brine <command> - development environments; `hubot brine help` tells which')
    this.robot.respond(VERB, { id: 'brinepool' }, response => this.hand(response))
    if (this.settings.all) this.robot.catchAll({ id: 'brinepool-all' }, caught => this.#catch(caught.message.message))
    this.#mount()
  }

  /** Hand over what was said, and say the answer. */
  async hand (response) {
    const told = this.rooms.told(response.message, response.match[1]?.trim() || 'help')
    if (!told) return
    const answer = await this.service.hand(told)
    if (!answer?.text) return
    try {
      await this.#answer(response, told, answer)
    } catch (error) {
      this.robot.logger.error(`Brinepool's answer could not be said: ${error.message}`)
    }
  }

  #answer (response, { user, room }, { text, reply }) {
    const aside = reply.private && !room.direct
    const said = this.#worded(text, reply, room.direct || aside)
    if (aside) return this.robot.adapter.send(this.rooms.privately(user), said)
    return mentioned(reply).includes(user) ? response.reply(said) : response.send(said)
  }

  #catch (message) {
    const match = message.text?.match(this.robot.respondPattern(ANYTHING))
    // A response to the message itself: the one to the wrapper answers in the room where its author was last.
    return match && this.hand(new this.robot.Response(this.robot, message, match))
  }

  #worded (text, reply, direct) {
    return worded(text, reply, this.#prefix(direct), id => String(this.rooms.person(id)?.name ?? id))
  }

  /** What people type before a command. To the bot alone, adapters put its name there themselves. */
  #prefix (direct) {
    return [direct ? '' : this.robot.name, this.settings.all ? '' : 'brine'].filter(Boolean).join(' ')
  }

  #mount () {
    const { robot, settings } = this
    if (!robot.shouldEnableHttpd) {
      robot.logger.warn('Hubot runs without its HTTP listener: Brinepool cannot report progress or results.')
      return
    }
    if (!process.env.EXPRESS_BIND_ADDRESS && !process.env.BIND_ADDRESS) {
      robot.logger.warn('Hubot listens on every address: set EXPRESS_BIND_ADDRESS, such as to 127.0.0.1.')
    }
    const updates = new Updates(settings.secret, update => this.update(update), robot.logger)
    if (robot.server) mount(robot.server, updates)
    else robot.on('listening', server => mount(server, updates))
  }

  /** Say an update. Hubot cannot edit: work in progress stays as it was said, and how it ended is said anew. */
  async update ({ kind, room, direct, text, reply }) {
    if (kind === 'edit' && reply.tone === 'working') return
    if (reply.private && !direct) throw new Refused(422, 'what is private goes to a person directly, not into a room')
    const said = this.#worded(text, reply, direct)
    if (direct) return this.robot.adapter.send(this.rooms.privately(direct), said)
    const [first, ...others] = mentioned(reply).map(id => this.rooms.person(id) ?? { id, name: id })
    if (!first) return this.robot.adapter.send({ room }, said)
    // An adapter mentions one person in its own way; the rest are called by name.
    const names = others.map(user => `${user.name}: `).join('')
    return this.robot.adapter.reply({ room, user: { ...first, room } }, names + said)
  }
}
