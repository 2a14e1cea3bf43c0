// A voicemux client with nothing but Node; README.md says how it is run. To be read beside ../protocol.md, whose
// sections are the numbers in brackets, but it does not resume (17). `talk` is a call, the loop behind it the clock.
import { execFileSync } from 'node:child_process'
import crypto from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import readline from 'node:readline'
import tls from 'node:tls'
import { parseArgs } from 'node:util'

process.once('uncaughtException', ({ message }) => { console.error(`client: ${message}`); process.exit(2) })
const TAGS = { // [5] number, least and most bytes of payload; without the values of a code
  HELLO: [1, 0, 4096], TEXT: [2, 4, 4096], AUDIO: [3, 8, 4096], PING: [4, 8, 8], PONG: [5, 8, 8], BYE: [6, 2, 258],
  TEXT_ACK: [7, 4, 4], REPORT: [8, 12, 12], RINGING: [9, 0, 0], CLAIM: [10, 34, 2082], CHALLENGE: [11, 32, 32],
  PROOF: [12, 33, 4096], WELCOME: [13, 1, 1], GREASE: [0x5a, 0, 4096] } // [13] GREASE means nothing
const [NORMAL, BUSY, PROTOCOL, VERSION, TIMEOUT, FLOOD, SECURITY, UNKNOWN, WRONG_CODE] = [0, 1, 3, 4, 5, 6, 9, 10, 11]
const [SILENT, OPEN, KNOWN, CODE] = [null, 0, 1, 2] // [14] codes of a BYE, SILENT if none is sent; [12] methods
const [PCM, PACKET, MORE, WINDOW] = [1, 1920, 1, 63] // [8] codec, bytes in 20 ms; [7] flag, frames in 65,536 bytes
const { values: options, positionals: [role, ...address] } = parseArgs({ allowPositionals: true, options: {
  key: { type: 'string', default: 'key.pem' }, 'key-of-peer': { type: 'string' }, unencrypted: { type: 'boolean' },
  audio: { type: 'boolean' }, play: { type: 'string' }, record: { type: 'string' }, once: { type: 'boolean' },
} })
if (!(role === 'dial' ? [2] : role === 'listen' ? [1, 2] : []).includes(address.length)) {
  throw new Error('expected dial HOST PORT or listen [HOST] PORT, see README.md')
}
const end = (bye = NORMAL, message = '') => Object.assign(new Error(message), { bye }) // why we end, to be thrown
const must = (fine, expected) => { if (!fine) throw end(PROTOCOL, `expected ${expected}`) }
const note = (text) => console.error(`client: ${text}`)
const now = () => performance.now() / 1000 // seconds
const join = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part))) // takes numbers modulo 256
const u16 = (number) => [number >> 8, number] // [1]
const u32 = (number) => [number >> 24, number >> 16, number >> 8, number]
const clean = (bytes) => new TextDecoder('utf8', { fatal: true }).decode(bytes).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '')
const fields = (bytes, ...starts) => starts.map((start, index) => bytes.subarray(start, starts[index + 1])) // [5]
const hash = (bytes) => crypto.createHash('sha256').update(bytes).digest()
const labelled = (label, ...parts) => join(`voicemux/1 ${label}\0`, ...parts) // [12]
const compare = (transcript) => note(`compare by voice: ${hash(labelled('words', transcript)).toString('hex', 0, 4)}`)
const recognise = (who, fingerprint, bye, problem) => {
  note(`the key of the ${who} is ${fingerprint.toString('hex')}`)
  if (keyOfPeer && keyOfPeer !== fingerprint.toString('hex')) throw end(bye, problem)
}
function readHello(payload) { // [5.1] their name and codecs; of a key that comes twice the first counts
  const items = {}
  for (let rest = payload; rest.length; rest = rest.subarray(2 + rest[1])) {
    must(rest.length >= 2 + rest[1], 'a HELLO of whole items')
    items[rest[0]] ??= rest.subarray(2, 2 + rest[1])
  }
  const { 1: name = join(), 2: agent = join(), 3: codecs = [PCM], 4: session = Array(16), 5: last = u32(0) } = items
  must(name.length <= 64 && agent.length <= 64 && session.length === 16 && last.length === 4, 'HELLO values that fit')
  return [`${clean(name)} (${clean(agent)})`, codecs]
}
const [file, keyOfPeer] = [options.key, options['key-of-peer']?.replaceAll(':', '').toLowerCase()]
const [method, plain] = [keyOfPeer ? KNOWN : OPEN, options.unencrypted]
const req = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=voicemux -keyout'.split(' ')
if (!plain && !fs.existsSync(file)) execFileSync('openssl', [...req, file, '-out', file], { stdio: 'ignore' })
const pem = plain ? null : fs.readFileSync(file) // [12] our key and certificate, whether we dial or listen
const certificate = pem && new crypto.X509Certificate(pem).raw
const TLS = { key: pem, cert: pem, minVersion: 'TLSv1.3', rejectUnauthorized: false } // [12] nobody judges names
const [PREFACE, HELLO] = ['VMUX/1\r\n', join([1, 8], 'stranger', options.audio ? [3, 1, PCM] : [3, 0])] // [3] [5.1]
let [typed, current] = [[], null] // lines that wait for a call, and its `part`

async function call(socket, dialler) { // from beginning to end; the process ends with it, unless others may come
  let [received, heard, wrote, deadline, ticks] = [join(), 0, now(), now() + 5, 0] // [3] bytes; [9] [11] times
  let [open, failure] = [0, null] // since when both have said HELLO; why we have said BYE, or '' if nothing is wrong
  let [rest, said, acknowledged, taken] = [[], 0, 0, 0] // [7] `rest` is of a line, in pieces
  let [voice, sequence, heardUpTo] = [options.play && fs.readFileSync(options.play), 0, null] // [8]
  const read = async (count) => { // [3] however the bytes are cut
    while (received.length < count) await once(socket, 'data')
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
      if (name === 'BYE') throw goodbye(payload.readUInt16BE(), clean(payload.subarray(2)))
      if (name !== 'GREASE' && name !== 'RINGING') return Object.assign(payload, { name, flags })
    }
  }
  const goodbye = (code, reason) => end(NORMAL, code ? `the other side ended the call: ${code} ${reason}` : '')
  const send = (name, payload = [], flags = 0) => // nothing after a BYE
    socket.writable && socket.write(join(u16(payload.length), [TAGS[name][0], flags], payload))
  const part = ({ bye = PROTOCOL, message }) => { // [10] an error without a code is of bytes that make no sense
    if (failure !== null) return
    if (bye !== SILENT) send('BYE', join(u16(bye), bye ? message : ''))
    failure = message
    if (current === part) [typed, current] = [[], null]
    socket.end() // inside TLS `close_notify`, and then TCP's
    setTimeout(() => socket.destroy(end(SILENT)), 2000)
  }
  const claim = async (listener) => { // [12] a dialler says who it is, and signs what both have said
    const nonce = crypto.randomBytes(32)
    send('CLAIM', join([method], hash(labelled('commitment', nonce)), [0], certificate))
    const challenge = await frame('CHALLENGE')
    const transcript = hash(labelled('transcript', listener, hash(certificate), [method], nonce, challenge, [0, 0]))
    send('PROOF', join(nonce, [0], crypto.sign('sha256', labelled('dialler', transcript), pem)))
    const [admitted] = await frame('WELCOME')
    must(admitted <= KNOWN, 'a WELCOME of method OPEN or KNOWN')
    if (method === OPEN || admitted === OPEN) compare(transcript)
  }
  const admit = async () => { // [12] a listener finds out who that is, and says nothing of it before
    const [[claimed], commitment, [share], theirs] = fields(await frame('CLAIM'), 0, 1, 33, 34)
    if (claimed === CODE) throw end(WRONG_CODE, 'there is no code here')
    must(claimed <= KNOWN && !share, 'a CLAIM of method OPEN or KNOWN, without a share')
    const [challenge, caller] = [crypto.randomBytes(32), hash(theirs)]
    send('CHALLENGE', challenge)
    const [nonce, [confirmation], signature] = fields(await frame('PROOF'), 0, 32, 33)
    must(!confirmation && hash(labelled('commitment', nonce)).equals(commitment), 'the nonce of the commitment')
    const transcript = hash(labelled('transcript', hash(certificate), caller, [claimed], nonce, challenge, [0, 0]))
    const { publicKey } = new crypto.X509Certificate(theirs)
    must(publicKey.asymmetricKeyDetails.namedCurve === 'prime256v1', 'a key of P-256')
    must(crypto.verify('sha256', labelled('dialler', transcript), publicKey, signature), 'a signature by that key')
    recognise('caller', caller, UNKNOWN, 'that caller is not known here')
    send('WELCOME', [method])
    if (claimed === OPEN || method === OPEN) compare(transcript)
  }
  const talk = async () => { // [2]
    if (dialler) await once(socket, pem ? 'secureConnect' : 'connect')
    const listener = dialler && pem && hash(socket.getPeerX509Certificate().raw)
    if (listener) recognise('listener', listener, SILENT, 'that is not the key that you know')
    if (dialler) socket.write(PREFACE)
    const first = await read(1) // [3] 0x16 is TLS, at a listener of plain calls
    const preface = first[0] === 0x16 ? PREFACE : join(first, await read(7)).toString()
    if (!preface.startsWith('VMUX/')) throw end(SILENT, 'no voicemux')
    if (!dialler) socket.write(PREFACE)
    if (preface !== PREFACE) throw end(VERSION, 'expected version 1')
    if (first[0] === 0x16 || (pem && !socket.encrypted)) throw end(SECURITY, `expected ${pem ? 'TLS' : 'no TLS'}`)
    deadline = now() + 10
    if (pem) await (dialler ? claim(listener) : admit())
    if (dialler) send('HELLO', HELLO)
    deadline = now() + (dialler ? 60 : 10)
    const [name, codecs] = readHello(await frame('HELLO', ...(dialler ? ['RINGING'] : [])))
    if (current) throw end(BUSY, 'in another call')
    if (!dialler) send('HELLO', HELLO)
    note(`in a call with ${name}`)
    if (!codecs.includes(PCM)) voice = null
    open = now()
    current = part
    for (;;) await frame(...Object.keys(handlers)).then((payload) => handlers[payload.name](payload))
  }
  const handlers = { // of what comes when both have said HELLO
    TEXT(payload) {
      const [id, line] = [payload.readUInt32BE(), clean(payload.subarray(4))]
      must(id <= taken + 1, `text ${taken + 1}, got ${id}`)
      if (id > taken) process.stdout.write(payload.flags & MORE ? line : `${line}\n`)
      taken = Math.max(taken, id)
      send('TEXT_ACK', u32(taken))
    },
    TEXT_ACK(payload) {
      must(payload.readUInt32BE() <= said, `an acknowledgement of ${said} at most`)
      acknowledged = Math.max(acknowledged, payload.readUInt32BE())
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
  socket.on('data', (bytes) => { [received, heard] = [join(received, bytes), now()] }).on('error', part).resume()
  socket.on('end', () => setImmediate(() => socket.emit('error', end(SILENT, 'the connection was lost'))))
  talk().catch(part).finally(() => socket.removeAllListeners('data')) // [10] what else comes is read all the same
  for (; !socket.destroyed; await new Promise((resolve) => setTimeout(resolve, 5))) {
    if (!socket.writableLength) wrote = now() // [9]
    if (now() > Math.min(open ? heard + 15 : deadline, wrote + 15)) part(end(open ? TIMEOUT : SILENT, 'timed out'))
    if (socket.writableLength > 262144) part(end(FLOOD, 'expected somebody who reads')) // [12]
    if (!open || failure !== null) continue
    if (ticks++ % 100 === 0) ['PING', 'GREASE'].forEach((name) => send(name, Buffer.alloc(8))) // [9] [13]
    while (said - acknowledged < WINDOW && (rest.length || typed.length)) { // [7] of 1024 bytes at most
      if (!rest.length) rest = typed.shift().match(/[^]{1,256}/gu) ?? ['']
      send('TEXT', join(u32(++said), rest.shift()), rest.length % 1024 ? MORE : 0)
    }
    if (voice && now() >= open + sequence * 0.02) { // [8] what is not sent, since the line is full, counts, too
      const samples = voice.subarray(PACKET * sequence, PACKET * (sequence + 1)) // the last are none
      if (!socket.writableLength) send('AUDIO', join([PCM, 0], u16(sequence), u32(PACKET / 2 * sequence), samples))
      sequence += 1
      if (!samples.length) voice = null
    }
    if (process.stdin.readableEnded && (said || options.play) && !(voice || rest.length || typed.length)) part(end())
  }
  if (failure) note(failure)
  if (dialler || (options.once && !current)) process.exit(failure ? 1 : 0)
}

readline.createInterface({ input: process.stdin }).on('line', (line) => typed.push(line))
process.on('SIGINT', () => current ? current(end()) : process.exit(130))
const stream = { port: address.pop(), host: address.pop(), noDelay: true, allowHalfOpen: true } // [10]
if (role === 'dial') call(pem ? tls.connect({ ...stream, ...TLS }) : net.connect(stream), true)
const server = net.createServer(stream, (socket) => socket.on('error', () => {}).once('data', (bytes) => {
  socket.pause().unshift(bytes) // [3] the first byte tells what comes: 0x16 is TLS
  call(pem && bytes[0] === 0x16 ? new tls.TLSSocket(socket, { isServer: true, ...TLS }) : socket, false)
}).setTimeout(5000, () => socket.bytesRead || socket.destroy()))
if (role === 'listen') server.listen(stream, () => note(`listening on port ${server.address().port}`))
