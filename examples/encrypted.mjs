// What encryption adds to client.mjs: section 12 of ../protocol.md, methods OPEN and KNOWN. Not here: codes (SPAKE2).

import { execFileSync } from 'node:child_process'
import crypto from 'node:crypto'
import fs from 'node:fs'
import tls from 'node:tls'
import { Code, End, Tag, join, must, note, u8 } from './wire.mjs'

const [OPEN, KNOWN, CODE] = [0, 1, 2] // the methods of a CLAIM

const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest()
const digest = (label, ...parts) => sha256(join(`voicemux/1 ${label}\0`, ...parts))
const signedText = (transcript) => join('voicemux/1 dialler\0', transcript)

export class Identity { // our key and certificate, the same whether we dial or listen; and whom we know
  constructor(file, keyOfPeer) {
    if (!fs.existsSync(file)) { // Node makes keys, but no certificates
      const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
      execFileSync('openssl', ['req', '-x509', ...curve, '-nodes', '-days', '36500', '-subj', '/CN=voicemux',
        '-keyout', file, '-out', file], { stdio: 'ignore' })
    }
    this.pem = fs.readFileSync(file)
    this.key = crypto.createPrivateKey(this.pem)
    this.certificate = new crypto.X509Certificate(this.pem).raw
    this.fingerprint = sha256(this.certificate)
    this.keyOfPeer = keyOfPeer && Buffer.from(keyOfPeer.replaceAll(':', ''), 'hex')
  }

  knows(fingerprint) {
    return !this.keyOfPeer || this.keyOfPeer.equals(fingerprint)
  }

  // TLS 1.3; nobody looks at names, dates or authorities. `allowHalfOpen`: a goodbye ends one direction [10].
  dial(host, port) {
    return tls.connect({ host, port, rejectUnauthorized: false, minVersion: 'TLSv1.3', allowHalfOpen: true })
  }

  answer(socket) {
    const secureContext = tls.createSecureContext({ key: this.pem, cert: this.pem, minVersion: 'TLSv1.3' })
    return new tls.TLSSocket(socket, { isServer: true, secureContext })
  }
}

export class Introduction { // who is who: each method takes what the other side has said, and answers
  constructor(call, identity) {
    Object.assign(this, { call, identity, listener: identity.fingerprint, caller: identity.fingerprint })
  }

  look() { // a dialler looks at the listener's key before it says anything
    this.listener = sha256(this.call.socket.getPeerX509Certificate().raw)
    note(`the key of the listener is ${this.listener.toString('hex')}`)
    if (this.identity.knows(this.listener)) return
    throw new End(Code.SILENT, 'that is not the key that you know: somebody else, or a new one; ask, by another way')
  }

  claim() {
    this.method = this.identity.keyOfPeer ? KNOWN : OPEN
    this.nonce = crypto.randomBytes(32)
    const commitment = digest('commitment', this.nonce)
    this.call.send(Tag.CLAIM, join(u8(this.method), commitment, u8(0), this.identity.certificate))
  }

  claimed(payload) {
    const end = 34 + payload[33]
    this.method = payload[0]
    this.commitment = payload.subarray(1, 33)
    this.certificate = payload.subarray(end)
    must(this.method <= CODE && end <= payload.length && this.certificate.length <= 2048, 'a well-formed CLAIM')
    if (this.method === CODE) throw new End(Code.WRONG_CODE, 'there is no code here')
    must(end === 34, 'a CLAIM without a share')
    this.caller = sha256(this.certificate)
    this.answer = crypto.randomBytes(32)
    this.call.send(Tag.CHALLENGE, this.answer)
  }

  challenged(payload) {
    this.answer = payload
    const signature = crypto.sign('sha256', signedText(this.transcript()), this.identity.key)
    this.call.send(Tag.PROOF, join(this.nonce, u8(0), signature))
  }

  proved(payload) {
    this.nonce = payload.subarray(0, 32)
    must(payload[32] === 0 && digest('commitment', this.nonce).equals(this.commitment), 'the nonce of the commitment')
    must(this.signedWith(payload.subarray(33)), 'a signature by the key of the certificate, P-256')
    if (!this.identity.knows(this.caller)) throw new End(Code.UNKNOWN_CALLER, 'that caller is not known here')
    note(`the key of the caller is ${this.caller.toString('hex')}`) // nothing that it has said is shown before
    const admitted = this.identity.keyOfPeer ? KNOWN : OPEN
    this.call.send(Tag.WELCOME, u8(admitted))
    this.compare(admitted)
  }

  welcomed(payload) {
    must(payload[0] <= KNOWN, 'a WELCOME of method OPEN or KNOWN')
    this.compare(payload[0])
  }

  signedWith(signature) {
    try {
      const { publicKey } = new crypto.X509Certificate(this.certificate)
      return publicKey.asymmetricKeyDetails.namedCurve === 'prime256v1' &&
        crypto.verify('sha256', signedText(this.transcript()), publicKey, signature)
    } catch {
      return false
    }
  }

  transcript() { // who is there, as each sees the other itself, and what was said; with two empty shares of a code
    return digest('transcript', this.listener, this.caller, u8(this.method), this.nonce, this.answer, u8(0, 0))
  }

  compare(admitted) { // if these bytes are the same, nobody is in between; programs for people have the PGP word list
    if (this.method !== OPEN && admitted !== OPEN) return
    note(`compare by voice: ${digest('words', this.transcript()).subarray(0, 4).toString('hex')}`)
  }
}
