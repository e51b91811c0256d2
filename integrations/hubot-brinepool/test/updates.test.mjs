// What Brinepool says later, over Hubot's HTTP listener.

import assert from 'node:assert/strict'
import { createServer, request as httpRequest } from 'node:http'
import { test } from 'node:test'

import brinepool from '../index.mjs'
import { LIMIT, mount, Updates } from '../src/updates.mjs'
import { ADA, startBot } from './bot.mjs'
import { header, Stub } from './stub.mjs'

let count = 0
const now = () => Math.floor(Date.now() / 1000)

function update (fields) {
  return {
    delivery: `d-${++count}`,
    kind: 'post',
    room: 'shop-dev',
    direct: '',
    message: 'm',
    thread: '',
    text: 'cart is ready ✔',
    reply: { title: 'x' },
    ...fields
  }
}

const bot = (t, env, options) => startBot(t, 'http://127.0.0.1:9', env, options)

async function post (url, body, headers, method = 'POST') {
  const response = await fetch(`${url}/brinepool/updates`, {
    method, body, headers: { 'Content-Type': 'application/json', 'Brinepool-Signature': header(body ?? ''), ...headers }
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, detail: text && JSON.parse(text).detail }
}

const send = (url, fields) => post(url, JSON.stringify(update(fields)))

test('a post is said in its room', async t => {
  const { url, chat } = await bot(t)
  assert.equal((await send(url)).status, 204)
  assert.deepEqual(chat.said.map(({ room, text, mention }) => [room, text, mention]),
    [['shop-dev', 'cart is ready ✔', null]])
})

test('the signature is of the bytes, whatever JSON they are', async t => {
  const { url, chat } = await bot(t)
  const text = JSON.stringify(update(), null, 3).replace('✔', '\\u2714').replace('"reply"', '"n": 1.0, "reply"')
  assert.equal((await post(url, text)).status, 204)
  assert.deepEqual(chat.said.map(entry => entry.text), ['cart is ready ✔'])
})

test('while a secret is being changed, one of two signatures is enough', async t => {
  const { url } = await bot(t)
  const body = JSON.stringify(update())
  const time = now()
  const both = `${header(body, { secret: 'the next', time })}, ${header(body, { time }).split(',')[1]}, v2=new`
  assert.equal((await post(url, body, { 'Brinepool-Signature': both })).status, 204)
})

test('work in progress is not said again, and how it ended is', async t => {
  const { url, chat } = await bot(t)
  await send(url, { kind: 'edit', text: 'half way', reply: { title: 'x', tone: 'working' } })
  await send(url, { kind: 'edit', text: 'ready', reply: { title: 'x', tone: 'good' } })
  assert.deepEqual(chat.said.map(entry => entry.text), ['ready'])
})

test('a mention is made as the adapter makes it, with further people by name', async t => {
  const { url, chat } = await bot(t)
  await chat.hear({ user: { id: 'U2', name: 'bob' }, room: '#lounge', text: 'hello' })
  await send(url, { text: 'U1: cart is ready ✔', reply: { title: 'x', mention: ['U1'] } })
  await send(url, { text: 'U1, bob: cart is ready ✔', reply: { title: 'x', mention: ['U1', 'U2'] } })
  await send(url, { text: 'U1 is ready', reply: { title: 'x', mention: ['U1'] } })
  assert.deepEqual(chat.said.map(({ text, mention }) => [text, mention]),
    [['cart is ready ✔', 'U1'], ['bob: cart is ready ✔', 'U1'], ['U1 is ready', 'U1']])
})

test('direct goes to the person, in the room where they last spoke to the bot alone', async t => {
  const { url, chat } = await bot(t, { BRINE_DIRECT_ROOMS: '^D' })
  await send(url, { room: 'direct:U1', direct: 'U1' })
  await chat.hear({ user: ADA, room: 'D7', text: 'hubot brine jobs' })
  chat.said.length = 1
  await send(url, { room: 'direct:U1', direct: 'U1' })
  assert.deepEqual(chat.said.map(entry => entry.room), ['U1', 'D7'])
})

test('what is private is never said in a room', async t => {
  const { url, chat } = await bot(t)
  const { status, detail } = await send(url, { reply: { title: 'x', private: true } })
  assert.deepEqual([status, detail], [422, 'what is private goes to a person directly, not into a room'])
  assert.deepEqual(chat.said, [])
  assert.equal((await send(url, { room: 'direct:U1', direct: 'U1', reply: { title: 'x', private: true } })).status, 204)
})

for (const [what, headers] of [
  ['no signature', { 'Brinepool-Signature': '' }],
  ['nonsense', { 'Brinepool-Signature': 't=now,v1=abc' }],
  ['one with two times', body => ({ 'Brinepool-Signature': `${header(body)},t=1` })],
  ['another secret', body => ({ 'Brinepool-Signature': header(body, { secret: 'another' }) })],
  ['another body', body => ({ 'Brinepool-Signature': header(`${body} `) })],
  ['an old signature', body => ({ 'Brinepool-Signature': header(body, { time: now() - 301 }) })],
  ['one from the future', body => ({ 'Brinepool-Signature': header(body, { time: now() + 310 }) })]
]) {
  test(`${what} is refused`, async t => {
    const { url, chat } = await bot(t)
    const body = JSON.stringify(update())
    const { status, detail } = await post(url, body, typeof headers === 'function' ? headers(body) : headers)
    assert.equal(status, 401)
    assert.match(detail, /signature/)
    assert.deepEqual(chat.said, [])
  })
}

test('a delivery is taken once', async t => {
  const { url, chat } = await bot(t)
  const body = JSON.stringify(update())
  assert.deepEqual([(await post(url, body)).status, (await post(url, body)).status], [204, 409])
  assert.equal(chat.said.length, 1)
})

test('of the same delivery at the same time one is taken', async t => {
  const { url, chat } = await bot(t)
  const body = JSON.stringify(update())
  const all = await Promise.all(Array.from({ length: 8 }, () => post(url, body)))
  assert.equal(all.filter(answer => answer.status === 204).length, 1)
  assert.equal(chat.said.length, 1)
})

test('a delivery cannot be replayed after a restart', async t => {
  const { url, chat } = await bot(t)
  const body = JSON.stringify(update())
  const signature = header(body, { time: now() - 20 })
  assert.equal((await post(url, body, { 'Brinepool-Signature': signature })).status, 503)
  assert.deepEqual(chat.said, [])
})

test('a room that is not there is 404', async t => {
  const { url } = await bot(t)
  const { status, detail } = await send(url, { room: 'nowhere' })
  assert.deepEqual([status, detail], [404, 'there is no room “nowhere” that this bot can write to'])
})

test('another error of the chat service is 502, in one line, and the same delivery may come again', async t => {
  const { url, chat } = await bot(t)
  const body = JSON.stringify(update())
  const { say } = chat
  chat.say = () => { throw new Error('socket closed\n    at somewhere') }
  const { status, detail } = await post(url, body)
  assert.deepEqual([status, detail], [502, 'the chat service did not take it: socket closed'])
  chat.say = say
  assert.equal((await post(url, body)).status, 204)
})

for (const [what, body] of [
  ['no JSON', '{'], ['null', 'null'], ['a list', '[]'], ['no delivery', JSON.stringify(update({ delivery: '' }))],
  ['no text', JSON.stringify(update({ text: 5 }))], ['no room', JSON.stringify(update({ room: null }))],
  ['no person', JSON.stringify(update({ direct: true }))], ['another kind', JSON.stringify(update({ kind: 'delete' }))]
]) {
  test(`${what} is 422 with a sentence`, async t => {
    const { url } = await bot(t)
    const { status, detail } = await post(url, body)
    assert.equal(status, 422)
    assert.ok(detail)
  })
}

test('too much is 413, said to be long or not', async t => {
  const { url, chat } = await bot(t)
  const body = JSON.stringify(update({ text: 'x'.repeat(LIMIT) }))
  assert.equal((await post(url, body)).status, 413)
  assert.equal(await chunked(`${url}/brinepool/updates`, body), 413)
  assert.deepEqual(chat.said, [])
})

function chunked (url, body) {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method: 'POST', headers: { 'Brinepool-Signature': header(body) } }, answer => {
      answer.resume()
      resolve(answer.statusCode)
    })
    sent.on('error', reject)
    for (let at = 0; at < body.length; at += 65536) sent.write(body.slice(at, at + 65536))
    sent.end()
  })
}

test('anything but POST is 405', async t => {
  const { url } = await bot(t)
  const { status, headers } = await post(url, undefined, {}, 'GET')
  assert.deepEqual([status, headers.get('allow')], [405, 'POST'])
})

test('a mistake of ours is 500 without a trace, and in the log', async t => {
  const complaints = []
  const server = createServer()
  mount(server, new Updates(undefined, () => {}, { error: text => complaints.push(text) })) // no secret: hashing raises
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { status, detail } = await send(`http://127.0.0.1:${server.address().port}`)
  assert.deepEqual([status, detail], [500, 'this Hubot made a mistake; its log has more'])
  assert.match(complaints.join(), /^Brinepool's update failed: The "key" argument/)
})

test("other scripts' routes go on as before, with their parsed bodies", async t => {
  const before = robot => robot.router.post('/echo', (request, response) => response.json(request.body))
  const { url } = await bot(t, {}, { before })
  const headers = { 'Content-Type': 'application/json' }
  const response = await fetch(`${url}/echo`, { method: 'POST', body: '{"a":1}', headers })
  assert.deepEqual(await response.json(), { a: 1 })
  assert.equal((await fetch(`${url}/brinepool/updatesX`, { method: 'POST' })).status, 404)
})

test('without the HTTP listener commands still work, and the log says what does not', async t => {
  const stub = await new Stub().start()
  t.after(() => stub.stop())
  const { chat, complaints } = await startBot(t, stub.url, {}, { httpd: false })
  await chat.hear({ user: ADA, room: 'shop-dev', text: 'hubot brine jobs' })
  assert.equal(chat.said.length, 1)
  assert.match(complaints[0], /without its HTTP listener/)
})

test('that it listens on every address is in the log, unless somebody chose it', async t => {
  const { complaints } = await bot(t, { EXPRESS_BIND_ADDRESS: '', BIND_ADDRESS: '127.0.0.1' })
  assert.deepEqual(complaints, [])
  const quiet = { shouldEnableHttpd: true, logger: { warn: text => complaints.push(text) }, helpStrings: [] }
  const { BRINE_CHAT_SECRET: kept } = process.env
  process.env.BRINE_CHAT_SECRET = 'x'
  brinepool({ ...quiet, brain: {}, respond: () => {}, on: () => {} })
  process.env.BRINE_CHAT_SECRET = kept ?? ''
  assert.match(complaints.join(), /^Hubot listens on every address: set EXPRESS_BIND_ADDRESS/)
})

test('a script that is loaded before the listener listens gets its updates too', async t => {
  const { url, chat } = await bot(t, {}, { early: true })
  assert.equal((await send(url)).status, 204)
  assert.equal(chat.said.length, 1)
})
