// Brinepool's text, as it is said in Hubot.

/**
 * Brinepool addresses people at the start of the text, by the name that it was told or by their id. An adapter does
 * that in its own way (`mentioned`), so here it goes. And what is to be typed begins with the bot's name.
 *
 * @param {string} text
 * @param {object} reply
 * @param {string} prefix what stands before a command: `hubot brine`
 * @param {(id: string) => string} nameOf how somebody is called; their id when that is not known
 */
export function worded (text, reply, prefix, nameOf) {
  let said = withoutAddress(text, mentioned(reply), nameOf)
  if (filled(reply.buttons) && prefix) said = said.replaceAll('(type: ', `(type: ${prefix} `)
  if (filled(reply.options)) said += `\nAnswer with “${`${prefix} 1`.trim()}” or another number.`
  return said
}

/** The ids of those who are to be notified. */
export const mentioned = reply => filled(reply.mention) ? reply.mention.map(String) : []

const filled = value => Array.isArray(value) && value.length > 0

function withoutAddress (text, ids, nameOf) {
  if (!ids.length) return text
  let rest = text
  for (const [index, id] of ids.entries()) {
    const end = index === ids.length - 1 ? ': ' : ', '
    const called = [nameOf(id), id].find(name => rest.startsWith(name + end))
    if (called === undefined) return text
    rest = rest.slice(called.length + end.length)
  }
  return rest
}
