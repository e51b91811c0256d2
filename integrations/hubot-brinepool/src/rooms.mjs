// Who said something and where, as Brinepool wants to know it, and how to write to somebody or a room later.

/**
 * Adapters have no common sign for a conversation with one person: here it is one without a room, or whose room is
 * the person, or what BRINE_DIRECT_ROOMS matches. In doubt it is a room, where less is said.
 */
export class Rooms {
  /** By a person's id: the envelope in which they last spoke to us directly. */
  #direct = new Map()

  /** @param {RegExp | null} pattern what matches the ids of rooms with one person */
  constructor (pattern, brain) {
    this.pattern = pattern
    this.brain = brain
  }

  /** What Brinepool is told of a message; null for one without a sender, which is no person's. */
  told (message, text) {
    const { user } = message
    if (user?.id == null || user.id === '') return null
    const room = this.#roomOf(message)
    if (room.direct) this.#direct.set(String(user.id), { room: message.room, user })
    return {
      user: String(user.id),
      name: String(user.name ?? ''),
      email: '', // an adapter does not say whether anybody verified it
      room,
      text,
      message: message.id == null ? '' : String(message.id),
      thread: '',
      answer: '',
      edited: false,
      bot: Boolean(user.is_bot ?? user.slack?.is_bot)
    }
  }

  /** The envelope to write to a person alone. */
  privately (id) {
    return this.#direct.get(id) ?? { room: id, user: this.person(id) ?? { id, name: id } }
  }

  /** Somebody we have heard from. */
  person (id) {
    const users = this.brain.users()
    return Object.hasOwn(users, id) ? users[id] : undefined
  }

  #roomOf ({ room, user }) {
    const id = String(room ?? '') || String(user.id)
    const direct = id === String(user.id) || Boolean(this.pattern?.test(id))
    return { id, name: direct ? '' : id.replace(/^#/, ''), direct }
  }
}
