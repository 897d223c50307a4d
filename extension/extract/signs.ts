/** Signs that a page is a job posting, and signs that it only talks about jobs. */

import { isA, linkedNodes } from './linked-data.ts'
import { oneLine } from './plain-text.ts'

/**
 * What a posting has, each counted once. Headings must be the whole line: an article has "List requirements, not
 * wishes" where a posting has "Requirements". English first, then German, French and Spanish.
 */
const HEADINGS = {
  duties:
    /^(?:(?:your|key|main|core|primary|job|the|day[- ]to[- ]day) )*(?:responsibilities|duties|tasks|accountabilities|duties and responsibilities)(?: include)?$|^what (?:you['’]?ll|you will|you['’]?d) (?:do|be doing|work on)$|^(?:about )?(?:the|your|this) (?:role|job|position)$|^(?:ihre|deine) aufgaben$|^aufgaben$|^(?:vos|les) missions$|^(?:tus )?(?:responsabilidades|funciones)$/i,
  requirements:
    /^(?:(?:your|key|minimum|basic|preferred|essential|desired|job|the) )*(?:requirements|qualifications|skills|experience|skills and experience|requirements and qualifications)$|^what (?:you['’]?ll|you will|you) (?:bring|need|have)$|^what we(?:['’]re| are) looking for$|^who (?:you are|we(?:['’]re| are) looking for)$|^(?:about you|you have|you are|must[- ]haves?|nice to haves?)$|^(?:ihr|dein) profil$|^anforderungen$|^(?:votre )?profil(?: recherché)?$|^requisitos$/i,
  offer:
    /^(?:(?:our|the|employee) )?(?:benefits|perks|benefits and perks|pay and benefits|salary|compensation)$|^what we offer(?: you)?$|^(?:what|why).{0,20}(?:in it for you|join us)\??$|^(?:das )?(?:bieten wir(?: ihnen| dir)?|wir bieten)$|^(?:nous offrons|avantages)$|^(?:qué )?ofrecemos$/i,
}
const PHRASES = {
  terms:
    /\b(?:full[- ]time|part[- ]time|permanent (?:position|role|contract|post)|fixed[- ]term|(?:per|an) (?:hour|annum)|a year|vollzeit|teilzeit|unbefristet|temps plein|cdi|jornada completa)\b/i,
  candidate:
    /\b(?:we(?:['’]re| are) (?:looking for|hiring|seeking|recruiting)|is (?:looking for|hiring|seeking)|you will (?:be|work|report|lead|join)|you['’]ll (?:be|work|report|lead|join)|join (?:our|the) (?:\w+ )?team|the successful candidate|ideal candidate|reporting to|reports to|wir suchen|nous recherchons|buscamos)\b/i,
  experience: /\b\d+\+? (?:or more )?years?['’]? (?:of )?(?:\w+ ){0,3}experience\b|\bexperience (?:in|with|of|as)\b/i,
}
const APPLY =
  /^(?:apply|apply (?:now|here|online|today|for this (?:job|role|position)|to this job)|jetzt bewerben|bewerben|postuler|solicitar)$/i
const HOW_TO_APPLY =
  /\b(?:to apply|how to apply)\b|\b(?:send|e-?mail) (?:us )?(?:your|a) (?:cv|résumé|resume|application|cover letter)|\bbewerbung an\b/i

/** What an article has in its title that a posting never has. Not "guide": mountains have those, and hire them. */
const ARTICLE_TITLE =
  /\bhow to\b|\b\d+ (?:tips|ways|things|mistakes|steps|reasons|examples)\b|\b(?:templates?|checklist|explained|interview questions|job ad(?:vert)?s?)\b/i
const ARTICLE_TYPES = ['BlogPosting', 'NewsArticle', 'Article', 'TechArticle', 'Recipe', 'HowTo', 'Product', 'FAQPage']

/** Signs needed, of the seven a posting can have, less those against it; the postings in `fixtures/` have six or seven. */
const ENOUGH = 4

/**
 * Whether this text, found on this page under this title, is a job posting. Needs a heading of duties or of
 * requirements and several other signs; an article's marks count against it. A page that merely lists openings has no
 * such heading.
 */
export function isPosting(text: string, title: string, document: Document): boolean {
  const lines = text.split('\n').map((line) => line.replace(/^- /, '').replace(/\s*:$/, '').trim())
  const has = (heading: RegExp) =>
    lines.some((line) => line.length <= 60 && heading.test(line.replace(/ & /g, ' and ')))
  const duties = has(HEADINGS.duties)
  const requirements = has(HEADINGS.requirements)
  if (!duties && !requirements) return false
  const signs = [
    duties,
    requirements,
    has(HEADINGS.offer),
    hasApplyControl(document) || HOW_TO_APPLY.test(text),
    ...Object.values(PHRASES).map((phrase) => phrase.test(text)),
  ]
  return signs.filter(Boolean).length - marksOfAnArticle(title, document) >= ENOUGH
}

function marksOfAnArticle(title: string, document: Document): number {
  let marks = 0
  if (ARTICLE_TITLE.test(`${title} ${oneLine(document.title, 300)}`)) marks += 4
  const nodes = linkedNodes(document) ?? []
  if (nodes.some((node) => ARTICLE_TYPES.some((type) => isA(node, type)))) marks += 2
  if (document.querySelector('[rel="author"], .byline, [itemprop="author"], meta[name="author"]')) marks += 1
  // Not `og:type` "article" alone: a widespread blog engine says that of every page, careers pages too.
  if (document.querySelector('#comments, .comments-area, .comment-list')) marks += 1
  return marks
}

function hasApplyControl(document: Document): boolean {
  const controls = Array.from(document.querySelectorAll('a, button, input[type="submit"]')).slice(0, 3_000)
  return controls.some((control) =>
    APPLY.test(oneLine(control.getAttribute('value') ?? (control.textContent ?? '').slice(0, 100), 100)),
  )
}
