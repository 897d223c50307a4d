/**
 * What must not stand in a value, whatever attribute it is of: an address somebody can be reached under, a number that
 * can be paid with, a secret, or the query of a URL.
 *
 * Two steps, because nearly all values are clean: bytes are looked at without making a string of them, and only what
 * then could be something is held against expressions. All of these take time in proportion to the value's length.
 */

/** Why a value was struck. */
export type Reason = 'email' | 'phone' | 'card' | 'token' | 'url' | 'length' | 'bytes'

/** Characters. Longer than any value of ours; free text is long. */
const MAX_VALUE = 4_096

// Classes of bytes.
const DIGIT = 1
/** g-z, G-Z and _: what no hexadecimal ID has. */
const NAME = 2
const HEX_LETTER = 4
const DASH = 8
const SPACE = 16
/** What stands between the groups of a telephone number. */
const SEPARATOR = 32
/** @ % ? # */
const SPECIAL = 64
const WORD = DIGIT | NAME | HEX_LETTER | DASH

const CLASSES = Uint8Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte)
  if (/\d/.test(char)) return DIGIT
  if (/[a-f]/i.test(char)) return HEX_LETTER
  if (/[g-z_]/i.test(char)) return NAME
  if (char === '-') return DASH
  if (char === ' ') return SPACE | SEPARATOR
  if (/[.()/+]/.test(char)) return SEPARATOR
  return /[@%?#]/.test(char) ? SPECIAL : 0
})

/** Fewer digits are no telephone number, fewer characters no secret. */
const MIN_DIGITS = 7
const MIN_SECRET = 20
const MIN_BEARER = 14

/** Whether {@link probe} could find something in the UTF-8 text from `from` to `to`. */
export function isSuspicious(bytes: Uint8Array, from: number, to: number): boolean {
  let seen = 0
  let digits = 0
  for (let at = from; at < to; at += 1) {
    const kind = CLASSES[bytes[at] as number] as number
    seen |= kind
    digits += kind & DIGIT
  }
  if (seen & SPECIAL) return true
  if (digits < MIN_DIGITS && to - from < MIN_BEARER) return false
  return to - from > MAX_VALUE || hasLongRun(bytes, from, to)
}

/** Enough digits that belong together and to no ID, a run that is long and not hexadecimal, or `Bearer `. */
function hasLongRun(bytes: Uint8Array, from: number, to: number): boolean {
  let run = 0
  let named = false
  let digits = 0
  let lettered = false
  for (let at = from; at < to; at += 1) {
    const kind = CLASSES[bytes[at] as number] as number
    if (kind & WORD) {
      run += 1
      if (kind & NAME) named = true
      if (named && run >= MIN_SECRET) return true
      if (kind & (NAME | HEX_LETTER)) {
        lettered = true
        digits = 0
      } else if (kind & DIGIT && !lettered) {
        digits += 1
        if (digits >= MIN_DIGITS) return true
      }
    } else {
      if (kind & SPACE && endsScheme(bytes, from, at)) return true
      run = 0
      named = false
      lettered = false
      if (!(kind & SEPARATOR)) digits = 0
    }
  }
  return false
}

/** Whether `bearer` or `basic` ends at `at`; its last letters say enough. */
function endsScheme(bytes: Uint8Array, from: number, at: number): boolean {
  if (at - from < 5) return false
  const end = String.fromCharCode(bytes[at - 2] as number, bytes[at - 1] as number).toLowerCase()
  return end === 'er' || end === 'ic'
}

const EMAIL = /(?<![\p{L}\p{N}._%+'-])[\p{L}\p{N}._%+'-]+(?:@|%40)[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}/iu

/**
 * A telephone number says that it is one: by its plus, by a national prefix, or by being grouped as in North America.
 * Any seven digits would be dates, addresses of machines and versions too. No letter, digit or dash beside it: there
 * it is part of an ID.
 */
const PHONE =
  /(?<![\w-])(?:(?:\+|%2B)\d(?:[ ./()-]{0,2}\d){6,14}|(?<!\.)(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}|(?<!\.)0\d{1,4}[ /-]\d(?:[ /-]?\d){5,9}|(?<![.:/])(?:[2-9]\d{2}[2-9]\d{6}|0\d{9,11}))(?![\w-]|\.\w)/i

const CARD = /(?<![\w.-])[2-6]\d(?:[ -]?\d){11,17}(?![\w-])/g
/** By first digits: American Express, Diners Club, Visa, Mastercard, and those that begin with 6. */
const CARD_NUMBERS = [/^3[47]\d{13}/, /^3[068]\d{12}/, /^4\d{15}/, /^4\d{12}$/, /^(?:5[1-5]|2[2-7])\d{14}/, /^6\d{15}/]

/** What is recognized by its beginning, and a password in a URL. */
const SECRET =
  /(?<![\w-])(?:eyJ[\w-]{17,}\.[\w-]+|sk-[\w-]{17,}|(?:bearer|basic) +[\w.~+/=-]{8,}|gh[opsru]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{15,}|AIza[\w-]{16,}|AKIA[0-9A-Z]{16})|:\/\/[^\s/?#@]+@/i
/** Random, in base64url: long, all three kinds of characters, and a stretch longer than any word of a model's name. */
const RANDOM =
  /(?<![\w-])(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)(?=[\w-]*[g-zG-Z])(?=[\w-]*[A-Za-z\d]{20})[\w-]{32,}/

/**
 * What a value becomes and why, or undefined when it may stay. A URL loses its query and fragment; anything else becomes
 * a marker as a whole. `isId` is for attributes that are random IDs by definition.
 */
export function probe(value: string, isId: boolean): { value: string; reason: Reason } | undefined {
  if (value.length > MAX_VALUE) return struck('length')
  const cut = /[?#]/.test(value) ? value.replace(/\S+/g, withoutQuery) : value
  if (SECRET.test(cut) || (!isId && RANDOM.test(cut))) return struck('token')
  if (/@|%40/.test(cut) && EMAIL.test(cut)) return struck('email')
  if (cut.match(CARD)?.some(isCard)) return struck('card')
  if (PHONE.test(cut)) return struck('phone')
  return cut === value ? undefined : { value: cut, reason: 'url' }
}

function struck(reason: Reason): { value: string; reason: Reason } {
  return { value: `[redacted:${reason}]`, reason }
}

function withoutQuery(word: string): string {
  const end = word.search(/[?#]/)
  return end >= 0 && (word.startsWith('/') || word.slice(0, end).includes('://')) ? word.slice(0, end) : word
}

function isCard(grouped: string): boolean {
  const digits = grouped.replace(/\D/g, '')
  return CARD_NUMBERS.some((shape) => {
    const number = shape.exec(digits)?.[0]
    return number !== undefined && luhn(number)
  })
}

function luhn(number: string): boolean {
  let sum = 0
  for (let index = 0; index < number.length; index += 1) {
    const digit = Number(number[number.length - 1 - index])
    sum += index % 2 === 0 ? digit : digit * 2 - (digit > 4 ? 9 : 0)
  }
  return sum % 10 === 0
}
