#!/usr/bin/env node
// A voicemux client for text and PCM sound, with nothing but Node; README.md says how it is run. To be read beside
// ../protocol.md, whose sections are the numbers in brackets. `talk`, near the end, is a call in its order.
import { execFileSync } from 'node:child_process'
import crypto from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import readline from 'node:readline'
import tls from 'node:tls'
import { parseArgs } from 'node:util'

const TAGS = { // [5] number, least and most bytes of payload; PROOF and WELCOME without the values of a code
  HELLO: [1, 0, 4096], TEXT: [2, 4, 4096], AUDIO: [3, 8, 4096], PING: [4, 8, 8], PONG: [5, 8, 8], BYE: [6, 2, 258],
  TEXT_ACK: [7, 4, 4], REPORT: [8, 12, 12], RINGING: [9, 0, 0], CLAIM: [10, 34, 2337], CHALLENGE: [11, 32, 32],
  PROOF: [12, 33, 4096], WELCOME: [13, 1, 1], GREASE: [0x5a, 0, 4096], // [13] GREASE means nothing
}
const Code = { NORMAL: 0, BUSY: 1, PROTOCOL: 3, VERSION: 4, TIMEOUT: 5, FLOOD: 6, SECURITY: 9, UNKNOWN_CALLER: 10,
  WRONG_CODE: 11, SILENT: null } // [14] of a BYE; SILENT: none is sent
const PREFACE = Buffer.from('VMUX/1\r\n') // [3]
const [OPEN, KNOWN, CODE] = [0, 1, 2] // [12] methods
const [PCM, PACKET] = [1, 960] // [8] a codec; samples in 20 ms
const [MORE, UNDER_WAY] = [1, 63] // [7] a flag; frames of 1028 bytes at most, within the window of 65,536 bytes
const BACKLOG = 262144 // [12] bytes that wait for a peer who does not read; text and voice stay far below

const { values: options, positionals: [role, ...address] } = parseArgs({ allowPositionals: true, options: {
  name: { type: 'string', default: 'stranger' }, key: { type: 'string', default: 'key.pem' },
  'key-of-peer': { type: 'string' }, play: { type: 'string' }, record: { type: 'string' },
  once: { type: 'boolean' }, plain: { type: 'boolean' }, audio: { type: 'boolean' },
} })
const end = (bye, message = '') => Object.assign(new Error(message), { bye }) // why we end a call, to be thrown
const must = (fine, expected) => { if (!fine) throw end(Code.PROTOCOL, `expected ${expected}`) }
const note = (text) => console.error(`client: ${text}`)
const u8 = (...numbers) => Buffer.from(numbers) // each is taken modulo 256
const u16 = (number) => u8(number >> 8, number)
const u32 = (number) => u8(number >> 24, number >> 16, number >> 8, number)
const join = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)))
const utf8 = new TextDecoder('utf-8', { fatal: true })
const printable = (bytes) => utf8.decode(bytes).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '') // [12] harmless to a terminal
const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest()
const digest = (label, ...parts) => sha256(join(`voicemux/1 ${label}\0`, ...parts)) // [12]
const signed = (transcript) => join('voicemux/1 dialler\0', transcript)
const keyOfPeer = options['key-of-peer']?.replaceAll(':', '').toLowerCase()
const method = keyOfPeer ? KNOWN : OPEN
const recognise = (who, fingerprint, bye, problem) => { // the caller's is not shown before it is proved
  note(`the key of the ${who} is ${fingerprint.toString('hex')}`)
  if (keyOfPeer && keyOfPeer !== fingerprint.toString('hex')) throw end(bye, problem)
}
const compare = (transcript, ...methods) => { // [12] if these are the same, nobody is in between
  if (methods.includes(OPEN)) note(`compare by voice: ${digest('words', transcript).toString('hex', 0, 4)}`)
}

function readIdentity(file) { // [12] our key and certificate, the same whether we dial or listen
  const make = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=voicemux -keyout'
  if (!fs.existsSync(file)) execFileSync('openssl', [...make.split(' '), file, '-out', file], { stdio: 'ignore' })
  const [key, certificate] = [fs.readFileSync(file), new crypto.X509Certificate(fs.readFileSync(file)).raw]
  return { key, keys: { key, cert: key }, certificate, fingerprint: sha256(certificate) }
}

function readHello(payload) { // [5.1] name and codecs; of a key that comes twice the first counts
  const items = {}
  for (let rest = payload; rest.length; rest = rest.subarray(2 + rest[1])) {
    must(rest.length >= 2 && rest.length >= 2 + rest[1], 'a HELLO of whole items')
    items[rest[0]] ??= rest.subarray(2, 2 + rest[1])
  }
  const { 1: name = u8(), 2: agent = u8(), 3: codecs = u8(PCM), 4: session, 5: last } = items
  must(name.length <= 64 && agent.length <= 64, 'names of at most 64 bytes')
  must((session?.length ?? 16) === 16 && (last?.length ?? 4) === 4, 'a session of 16 bytes and an id of 4')
  return { name: `${printable(name) || 'somebody'} (${printable(agent)})`, codecs }
}

async function call(socket, dialler) { // from beginning to end; the result is the exit status
  let [chunks, received, open, parted, failure] = [null, u8(), false, false, '']
  let [deadline, wrote, pingDue] = [0, performance.now(), 0] // [9] times are in milliseconds
  let [pieces, said, acknowledged, taken, typed, leaving] = [[], 0, 0, 0, false, false] // [7] `pieces` wait for room
  let [sequence, voiceDue, heardUpTo] = [0, 0, null] // [8] our voice, and theirs
  let voice = options.audio ? fs.openSync(options.play ?? '/dev/zero') : null

  const attach = (stream) => { // who reads meets the errors; the end of theirs leaves us what we still have to write
    socket = stream.on('error', () => {})
    chunks = socket.iterator({ destroyOnReturn: false })
  }
  const wait = (seconds) => { deadline = performance.now() + 1000 * seconds } // [11]
  const read = async (count) => { // [3] however the bytes are cut
    while (received.length < count) {
      const { value, done } = await chunks.next()
      if (done) throw end(Code.SILENT, 'the connection was lost')
      if (socket.writableLength > BACKLOG) throw end(Code.FLOOD, 'expected somebody who reads')
      if (open) wait(15)
      received = join(received, value)
    }
    const bytes = received.subarray(0, count)
    received = received.subarray(count)
    return bytes
  }
  const frame = async (...expected) => { // [4] the next one of a tag that we know; [6] others are out of order
    for (;;) {
      const [high, low, tag, flags] = await read(4)
      const length = 256 * high + low
      must(tag && length <= 4096, `a tag and 4096 bytes at most, got tag ${tag} and ${length} bytes`)
      const payload = await read(length)
      const name = Object.keys(TAGS).find((name) => TAGS[name][0] === tag) ?? 'GREASE'
      const [, least, most] = TAGS[name]
      must([...expected, 'BYE', 'GREASE'].includes(name), `${expected.join(', ')} or BYE, got ${name}`)
      must(least <= length && length <= most, `${least} to ${most} bytes of ${name}, got ${length}`)
      if (name === 'BYE') throw end(Code.NORMAL, goodbye(payload.readUInt16BE(), printable(payload.subarray(2))))
      if (name !== 'GREASE' && name !== 'RINGING') return { name, payload, flags }
    }
  }
  const goodbye = (code, reason) => (code ? `the other side ended the call: ${code} ${reason}` : '')
  const send = (name, payload = u8(), flags = 0) => { // nothing after a BYE
    if (!parted) socket.write(join(u16(payload.length), u8(TAGS[name][0], flags), payload))
  }
  const part = ({ bye = Code.PROTOCOL, message }) => { // [10] an error without a code is of bytes that make no sense
    if (parted) return
    failure = message
    if (bye === Code.SILENT) socket.destroy(new Error(message))
    else send('BYE', join(u16(bye), bye ? message : ''))
    parted = true
    socket.end() // inside TLS `close_notify`, and then TCP's
    setTimeout(() => socket.destroy(), 2000)
  }
  const answer = async () => { // [3] the first byte tells what comes: 0x16 is TLS
    await once(socket, 'readable')
    const bytes = socket.read() ?? u8()
    socket.unshift(bytes)
    if (bytes[0] !== 0x16) return
    if (identity) return attach(new tls.TLSSocket(socket, { isServer: true, ...identity.keys, ...TLS }))
    socket.write(PREFACE)
    throw end(Code.SECURITY, 'only plain calls are taken here')
  }
  const preface = async () => { // [3] theirs; a listener says nothing before it
    for (const byte of PREFACE.subarray(0, 5)) if ((await read(1))[0] !== byte) throw end(Code.SILENT, 'no voicemux')
    const version = await read(3)
    if (!dialler) socket.write(PREFACE)
    if (version.toString() !== '1\r\n') throw end(Code.VERSION, 'expected version 1')
    if (identity && !socket.encrypted) throw end(Code.SECURITY, 'only encrypted calls are taken here')
  }
  const claim = async (listener) => { // [12] a dialler says who it is, and signs what both have said
    const nonce = crypto.randomBytes(32)
    send('CLAIM', join(u8(method), digest('commitment', nonce), u8(0), identity.certificate))
    const { payload: challenge } = await frame('CHALLENGE')
    const transcript = digest('transcript', listener, identity.fingerprint, u8(method), nonce, challenge, u8(0, 0))
    send('PROOF', join(nonce, u8(0), crypto.sign('sha256', signed(transcript), identity.key)))
    const { payload: [admitted] } = await frame('WELCOME')
    must(admitted <= KNOWN, 'a WELCOME of method OPEN or KNOWN')
    compare(transcript, method, admitted)
  }
  const admit = async () => { // [12] a listener finds out who that is, and says nothing of it before
    const { payload: claim } = await frame('CLAIM')
    const [claimed, commitment, share, certificate] = [claim[0], claim.subarray(1, 33), claim[33], claim.subarray(34)]
    if (claimed === CODE) throw end(Code.WRONG_CODE, 'there is no code here')
    must(claimed <= KNOWN && !share && certificate.length <= 2048, 'a CLAIM of method OPEN or KNOWN, without a share')
    const [challenge, caller] = [crypto.randomBytes(32), sha256(certificate)]
    send('CHALLENGE', challenge)
    const { payload: proof } = await frame('PROOF')
    const nonce = proof.subarray(0, 32)
    must(!proof[32] && digest('commitment', nonce).equals(commitment), 'the nonce of the commitment, and no code')
    const transcript = digest('transcript', identity.fingerprint, caller, u8(claimed), nonce, challenge, u8(0, 0))
    const { publicKey } = new crypto.X509Certificate(certificate)
    must(publicKey.asymmetricKeyDetails.namedCurve === 'prime256v1', 'a key of P-256')
    must(crypto.verify('sha256', signed(transcript), publicKey, proof.subarray(33)), 'a signature by that key')
    recognise('caller', caller, Code.UNKNOWN_CALLER, 'that caller is not known here')
    send('WELCOME', u8(method))
    compare(transcript, claimed, method)
  }
  const say = () => { // [7] what the window has room for
    const room = pieces.splice(0, UNDER_WAY - (said - acknowledged))
    room.forEach(([text, flags]) => send('TEXT', join(u32(++said), text), flags))
    process.stdin[pieces.length ? 'pause' : 'resume']()
  }
  const type = (line) => { // [7] whole code points, at most 1024 bytes in a frame and 1024 frames in a message
    const parts = line.match(/[^]{1,256}/gu) ?? ['']
    parts.forEach((part, index) => pieces.push([part, index + 1 < parts.length && (index + 1) % 1024 ? MORE : 0]))
    typed = true
    say()
  }
  const handlers = { // of what comes when both have said HELLO
    TEXT(payload, flags) {
      const [id, text] = [payload.readUInt32BE(0), printable(payload.subarray(4))]
      must(id <= taken + 1, `text ${taken + 1}, got ${id}`)
      if (id <= taken) return
      process.stdout.write(flags & MORE ? text : `${text}\n`)
      taken = id
      send('TEXT_ACK', u32(id))
    },
    TEXT_ACK(payload) {
      must(payload.readUInt32BE(0) <= said, `an acknowledgement of ${said} at most, got ${payload.readUInt32BE(0)}`)
      acknowledged = Math.max(acknowledged, payload.readUInt32BE(0))
      say()
    },
    AUDIO(payload) { // what is no PCM is taken as lost; what is missing is silence, of ten seconds at most
      const [codec, source, time, samples] = [payload[0], payload[1], payload.readUInt32BE(4), payload.subarray(8)]
      const gap = (time - (heardUpTo ?? time)) >>> 0
      if (codec !== PCM || source || samples.length % 2 || gap >= 2 ** 31) return
      heardUpTo = time + samples.length / 2
      if (options.record) fs.appendFileSync(options.record, join(Buffer.alloc(2 * Math.min(gap, 480000)), samples))
    },
    PING(payload) { send('PONG', payload) }, PONG() {}, REPORT() {},
  }
  const speak = (now) => { // [8] packets count even if they are not sent, since the line is full
    const samples = Buffer.alloc(2 * PACKET)
    const length = fs.readSync(voice, samples)
    const packet = join(u8(PCM, 0), u16(sequence), u32(PACKET * sequence++), length ? samples : u8())
    if (!socket.writableLength) send('AUDIO', packet)
    voiceDue = Math.max(voiceDue, now - 100) + 20 // after a hold-up, no more than five at once
    if (!length) voice = null // the last one was empty: silence begins
  }
  const tick = (now) => { // [9] nothing came, or nothing could be written
    if (!socket.writableLength) wrote = now
    if (now > Math.min(deadline, wrote + 15000)) part(end(open ? Code.TIMEOUT : Code.SILENT, 'waited too long'))
    if (!open || parted) return
    if (now >= pingDue) ['PING', 'GREASE'].forEach((name) => send(name, Buffer.alloc(8)))
    if (now >= pingDue) pingDue = now + 1000
    if (voice !== null && now >= voiceDue) speak(now)
    if (leaving && !pieces.length && !(options.play && voice !== null)) part(end(Code.NORMAL))
  }
  const talk = async () => { // [2]
    await (dialler ? once(socket, identity ? 'secureConnect' : 'connect') : answer())
    const listener = dialler && identity && sha256(socket.getPeerX509Certificate().raw)
    if (listener) recognise('listener', listener, Code.SILENT, 'that is not the key that you know')
    if (dialler) socket.write(PREFACE)
    await preface()
    wait(10)
    if (identity) await (dialler ? claim(listener) : admit())
    if (dialler) send('HELLO', HELLO)
    wait(dialler ? 60 : 10)
    const { name, codecs } = readHello((await frame(...(dialler ? ['RINGING', 'HELLO'] : ['HELLO']))).payload)
    if (talking) throw end(Code.BUSY, 'in another call')
    if (!dialler) send('HELLO', HELLO)
    if (!codecs.includes(PCM)) voice = null
    note(`in a call with ${name}`)
    talking = { type, part, leave: () => { leaving = typed || Boolean(options.play) } }
    open = true
    wait(15)
    say()
    for (;;) {
      const { name, payload, flags } = await frame(...Object.keys(handlers))
      handlers[name](payload, flags)
    }
  }

  attach(socket)
  wait(5)
  const timer = setInterval(() => tick(performance.now()), 5)
  await talk().catch(part)
  while (!(await chunks.next().catch(() => ({ done: true }))).done); // [10] to the end, at most 2 seconds
  clearInterval(timer)
  if (open) talking = process.stdin.pause() && null
  if (failure) note(failure)
  return failure ? 1 : 0
}

const identity = options.plain ? null : readIdentity(options.key)
const TLS = { minVersion: 'TLSv1.3', rejectUnauthorized: false } // [12] nobody judges names or dates
const HELLO = join(u8(1, Buffer.byteLength(options.name)), options.name, u8(2, 10), 'client.mjs', u8(0x5a, 0),
  options.audio ? u8(3, 1, PCM) : u8(3, 0)) // [5.1]
let talking = null // the call that standard input belongs to
const lines = readline.createInterface({ input: process.stdin, terminal: false })
lines.on('line', (line) => talking?.type(line)).on('close', () => talking?.leave())
process.stdin.pause()
process.on('SIGINT', () => talking ? talking.part(end(Code.NORMAL)) : process.exit(130))
const [port, host] = address.reverse()
const stream = { host, port, noDelay: true, allowHalfOpen: true } // [10] a goodbye ends one direction
const connect = () => identity ? tls.connect({ ...stream, ...TLS }) : net.connect(stream)
if (role === 'dial') process.exit(await call(connect(), true))
const server = net.createServer(stream, async (socket) => {
  const status = await call(socket, false)
  if (options.once) process.exit(status)
})
server.listen({ port, host }, () => note(`listening on port ${server.address().port}`))
