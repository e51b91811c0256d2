// What people say goes to Brinepool, and its answers to people.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { ADA, startBot } from './bot.mjs'
import { SECRET, Stub } from './stub.mjs'

const IN_SHOP = { user: ADA, room: 'shop-dev' }

async function both (t, env, options) {
  const stub = await new Stub().start()
  t.after(() => stub.stop())
  return { stub, ...await startBot(t, stub.url, env, options) }
}

const texts = chat => chat.said.map(entry => entry.text)

test('a command is handed over with who said it and where, and the answer is said there', async t => {
  const { stub, chat } = await both(t)
  await chat.hear({ ...IN_SHOP, text: 'hubot brine create shop feature/cart\nfor 2d', id: 'm-1' })
  const [{ delivery, ...told }] = stub.requests
  assert.match(delivery, /^[0-9a-f-]{36}$/)
  assert.deepEqual(told, {
    user: 'U1',
    name: 'ada',
    email: '',
    room: { id: 'shop-dev', name: 'shop-dev', direct: false },
    text: 'create shop feature/cart\nfor 2d',
    message: 'm-1',
    thread: '',
    answer: '',
    edited: false,
    bot: false
  })
  assert.deepEqual(chat.said.map(({ room, text, mention }) => [room, text, mention]),
    [['shop-dev', 'You said: create shop feature/cart\nfor 2d', null]])
})

for (const [typed, text] of [
  ['hubot brine 2', '2'], ['@hubot: BRINE show x', 'show x'], ['hubot brinepool jobs', 'jobs'], ['hubot brine', 'help'],
  ['hubot brine, jobs', 'jobs']
]) {
  test(`“${typed}” is understood`, async t => {
    const { stub, chat } = await both(t)
    await chat.hear({ ...IN_SHOP, text: typed })
    assert.deepEqual(stub.requests.map(request => request.text), [text])
  })
}

for (const typed of ['brine jobs', 'hubot brines are salty', 'hubotbrine jobs', 'hubot create shop main', 'hello']) {
  test(`“${typed}” is not for us`, async t => {
    const { stub, chat } = await both(t)
    await chat.hear({ ...IN_SHOP, text: typed })
    assert.deepEqual([stub.requests, chat.said], [[], []])
  })
}

test('with BRINE_LISTEN=all everything said to the bot is handed over that no other script took', async t => {
  const before = robot => robot.respond(/ping/i, response => response.send('pong'))
  const { stub, chat } = await both(t, { BRINE_LISTEN: 'all' }, { before })
  for (const text of ['hubot ping', 'hubot create shop main', 'hubots are nice', 'good morning', 'hubot brine jobs']) {
    await chat.hear({ ...IN_SHOP, text })
  }
  assert.deepEqual(stub.requests.map(request => request.text), ['create shop main', 'jobs'])
  assert.deepEqual(texts(chat), ['pong', 'You said: create shop main', 'You said: jobs'])
})

test('with BRINE_LISTEN=all the answer goes where the question was, even when its author has moved on', async t => {
  const { chat, robot } = await both(t, { BRINE_LISTEN: 'all' })
  robot.receiveMiddleware(context => { context.response.message.user.room = '#lounge' })
  await chat.hear({ ...IN_SHOP, text: 'hubot jobs' })
  assert.deepEqual(chat.said.map(entry => entry.room), ['shop-dev'])
})

test('a message to the bot alone is direct, and so is one in a room that BRINE_DIRECT_ROOMS matches', async t => {
  const { stub, chat } = await both(t, { BRINE_DIRECT_ROOMS: '^D' })
  await chat.hear({ user: ADA, text: 'brine jobs' })
  await chat.hear({ user: ADA, room: 'D7', text: 'hubot brine jobs' })
  assert.deepEqual(stub.requests.map(request => request.room),
    [{ id: 'U1', name: '', direct: true }, { id: 'D7', name: '', direct: true }])
  assert.deepEqual(chat.said.map(entry => entry.room), ['U1', 'D7'])
})

test('a room is named as people write it', async t => {
  const { stub, chat } = await both(t)
  for (const room of ['#lounge', 'D7']) await chat.hear({ user: ADA, room, text: 'hubot brine jobs' })
  assert.deepEqual(stub.requests.map(request => request.room),
    [{ id: '#lounge', name: 'lounge', direct: false }, { id: 'D7', name: 'D7', direct: false }])
})

test('a bot is called one, a message without an id gets one, and one without a sender is left alone', async t => {
  const { stub, robot, chat, complaints } = await both(t)
  const other = { id: 'U2', name: 'other', slack: { is_bot: true } }
  await chat.hear({ user: other, room: 'shop-dev', text: 'hubot brine jobs' })
  const { TextMessage } = await import('hubot')
  await robot.receive(new TextMessage({ id: 'U1', room: 'shop-dev' }, 'hubot brine jobs'))
  await robot.receive(new TextMessage({ room: 'shop-dev' }, 'hubot brine jobs', 'm-9'))
  assert.deepEqual(stub.requests.map(request => request.bot), [true, false])
  assert.equal(stub.requests[1].message, stub.requests[1].delivery)
  assert.deepEqual([stub.deliveries.length, complaints], [2, []])
})

test('who asked is mentioned when the reply says so', async t => {
  const { stub, chat } = await both(t)
  stub.answer = () => [200, { message: 'm', reply: { title: 'x', mention: ['U1'] }, text: 'ada: ready', thread: '' }]
  await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
  assert.deepEqual([chat.said[0].mention, chat.said[0].text], ['U1', 'ready'])
})

test('what is private is said to the person alone', async t => {
  const { stub, chat } = await both(t)
  stub.answer = () => [200, { message: 'm', reply: { title: 'x', private: true }, text: 'your code is 42', thread: '' }]
  await chat.hear({ ...IN_SHOP, text: 'hubot brine link' })
  assert.deepEqual(chat.said.map(entry => entry.room), ['U1'])
})

for (const [what, status, document] of [['202', 202, { message: 'm' }], ['204', 204, '']]) {
  test(`${what} says nothing`, async t => {
    const { stub, chat, complaints } = await both(t)
    stub.answer = () => [status, document]
    await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
    assert.deepEqual([stub.requests.length, chat.said, complaints], [1, [], []])
  })
}

for (const [what, answer, said] of [
  ['a problem', [403, { code: 'not-allowed', detail: 'You may not do that.' }], /^You may not do that\.$/],
  ['an error without a document', [502, '<html>Bad Gateway</html>'], /is not Brinepool \(HTTP 502\)/],
  ['something that is not Brinepool', [200, '<html>Welcome</html>'], /is not Brinepool \(HTTP 200\)/],
  ['a redirect', [302, ''], /is not Brinepool \(HTTP 302\)/]
]) {
  test(`${what} is one sentence`, async t => {
    const { stub, chat } = await both(t)
    stub.answer = () => answer
    await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
    assert.equal(chat.said.length, 1)
    assert.match(chat.said[0].text, said)
  })
}

test('a wrong secret is said in the words of the other side', async t => {
  const { chat } = await both(t, { BRINE_CHAT_SECRET: 'another' })
  await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
  assert.deepEqual(texts(chat), ['Not signed.'])
})

test('a broken connection is tried once more, as the same delivery', async t => {
  const { stub, chat } = await both(t)
  stub.breakNext = 1
  await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
  assert.equal(stub.deliveries.length, 2)
  assert.equal(stub.deliveries[0], stub.deliveries[1])
  assert.deepEqual(texts(chat), ['You said: jobs'])
})

test('a connection that breaks twice is one sentence, and the bot goes on', async t => {
  const { stub, chat } = await both(t)
  stub.breakNext = 2
  await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
  await chat.hear({ ...IN_SHOP, text: 'hubot brine show x' })
  assert.match(chat.said[0].text, /^Brinepool cannot be reached now/)
  assert.deepEqual(texts(chat).slice(1), ['You said: show x'])
  assert.equal(stub.deliveries.length, 3)
})

test('when the first try had arrived, the second is told so, and the person too', async t => {
  const { stub, chat } = await both(t)
  stub.breakNext = 1
  stub.answer = () => [409, { code: 'delivery-repeated', detail: 'This delivery was received before.' }]
  await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
  assert.match(texts(chat).join(), /^Brinepool got your message, but its answer was lost/)
})

for (const [what, env, room, typed, lines] of [
  ['in a room', {}, 'shop-dev', 'hubot brine x',
    ['Which?', '1) a', 'Stop (type: hubot brine stop)', 'Answer with “hubot brine 1” or another number.']],
  ['to the bot alone', {}, undefined, 'brine x',
    ['Which?', '1) a', 'Stop (type: brine stop)', 'Answer with “brine 1” or another number.']],
  ['with BRINE_LISTEN=all', { BRINE_LISTEN: 'all' }, 'shop-dev', 'hubot x',
    ['Which?', '1) a', 'Stop (type: hubot stop)', 'Answer with “hubot 1” or another number.']],
  ['with both', { BRINE_LISTEN: 'all' }, undefined, 'x',
    ['Which?', '1) a', 'Stop (type: stop)', 'Answer with “1” or another number.']]
]) {
  test(`what there is to type is said as it must be typed ${what}`, async t => {
    const { stub, chat } = await both(t, env)
    const reply = { options: [{ label: 'a', command: 'a' }], buttons: [{ label: 'Stop', command: 'stop' }] }
    stub.answer = () => [200, { reply, text: 'Which?\n1) a\nStop (type: stop)' }]
    await chat.hear({ user: ADA, room, text: typed })
    assert.deepEqual(texts(chat), [lines.join('\n')])
  })
}

test('nothing that listens is one sentence, and not tried twice', async t => {
  const calls = t.mock.method(globalThis, 'fetch')
  const server = createServer()
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  const { chat } = await startBot(t, `http://127.0.0.1:${port}`)
  await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
  assert.deepEqual(texts(chat), ['Brinepool is not running; nothing was done. Try again in a minute.'])
  assert.equal(calls.mock.callCount(), 1)
})

test('an answer that takes too long is one sentence, and not asked for twice', async t => {
  const { stub, chat } = await both(t, { BRINE_TIMEOUT: '0.2' })
  stub.answer = () => new Promise(() => {})
  await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
  assert.match(texts(chat).join(), /^Brinepool has not answered within 0\.2 s\./)
  assert.equal(stub.deliveries.length, 1)
})

test('an answer that the chat service will not take is in the log, and the bot goes on', async t => {
  const { stub, chat, complaints } = await both(t)
  await chat.hear({ user: ADA, room: 'gone', text: 'hubot brine jobs' })
  await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
  assert.deepEqual(complaints, ["Brinepool's answer could not be said: no such room: gone"])
  assert.equal(stub.requests.length, 2)
  assert.equal(chat.said.length, 1)
})

test('the secret can be in a file', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'brine-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'secret'), `${SECRET}\n`)
  const { chat } = await both(t, { BRINE_CHAT_SECRET: '', BRINE_CHAT_SECRET_FILE: join(folder, 'secret') })
  await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
  assert.deepEqual(texts(chat), ['You said: jobs'])
})

for (const [setting, value, says] of [
  ['BRINE_CHAT_SECRET', '', /set BRINE_CHAT_SECRET or BRINE_CHAT_SECRET_FILE/],
  ['BRINE_URL', 'ftp://x', /BRINE_URL is no http/],
  ['BRINE_BOT', '../x', /BRINE_BOT is no name/],
  ['BRINE_LISTEN', 'some', /BRINE_LISTEN is either/],
  ['BRINE_DIRECT_ROOMS', '(', /BRINE_DIRECT_ROOMS is no regular/],
  ['BRINE_TIMEOUT', 'soon', /BRINE_TIMEOUT is a number/]
]) {
  test(`a wrong ${setting} is said in the log and to whoever asks`, async t => {
    const { stub, chat, complaints } = await both(t, { [setting]: value })
    await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
    for (const lines of [texts(chat), complaints]) {
      assert.equal(lines.length, 1)
      assert.match(lines[0], says)
    }
    assert.deepEqual(stub.requests, [])
  })
}

test('a secret file that is not there is said without its path', async t => {
  const { chat } = await both(t, { BRINE_CHAT_SECRET: '', BRINE_CHAT_SECRET_FILE: '/nowhere/secret' })
  await chat.hear({ ...IN_SHOP, text: 'hubot brine jobs' })
  assert.match(texts(chat)[0], /BRINE_CHAT_SECRET_FILE cannot be read \(ENOENT\)/)
})
