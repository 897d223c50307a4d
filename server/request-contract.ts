/**
 * What POST /generate takes: a profile and a posting. The extension and the relay import this; it imports nothing but
 * zod. What comes back is in `contract.ts`.
 */

import { z } from 'zod'

// zod compiles schemas with `new Function` where it may; an extension's content security policy reports each try as a
// violation. What is gained elsewhere is microseconds a request.
z.config({ jitless: true })

const text = (max: number) => z.string().max(max)
const date = z
  .string()
  .regex(/^([1-2]\d{3})(-[0-1]\d(-[0-3]\d)?)?$/, 'must be a date such as 2021, 2021-03 or 2021-03-15')
const list = <T extends z.ZodType>(item: T, max: number) => z.array(item).max(max).optional()

/**
 * JSON Resume 1.x (https://jsonresume.org/schema): the fields a resume is made of, with bounds. Fields this product
 * does not print are accepted and ignored, so that any valid JSON Resume file can be opened.
 */
export const Profile = z.looseObject({
  basics: z.looseObject({
    name: z.string().trim().min(1, 'must not be empty').max(200),
    label: text(200).optional(),
    email: z.email().max(200).optional(),
    phone: text(60).optional(),
    url: text(500).optional(),
    summary: text(4_000).optional(),
    location: z
      .looseObject({
        address: text(200).optional(),
        postalCode: text(20).optional(),
        city: text(120).optional(),
        region: text(120).optional(),
        countryCode: text(10).optional(),
      })
      .optional(),
    profiles: list(
      z.looseObject({ network: text(80).optional(), username: text(120).optional(), url: text(500).optional() }),
      10,
    ),
  }),
  work: list(
    z.looseObject({
      name: z.string().trim().min(1, 'must name the employer').max(200),
      position: text(200).optional(),
      location: text(120).optional(),
      description: text(500).optional(),
      url: text(500).optional(),
      startDate: date.optional(),
      endDate: date.optional(),
      summary: text(2_000).optional(),
      highlights: list(text(1_000), 40),
    }),
    30,
  ),
  volunteer: list(
    z.looseObject({
      organization: text(200).optional(),
      position: text(200).optional(),
      url: text(500).optional(),
      startDate: date.optional(),
      endDate: date.optional(),
      summary: text(2_000).optional(),
      highlights: list(text(1_000), 20),
    }),
    15,
  ),
  education: list(
    z.looseObject({
      institution: z.string().trim().min(1, 'must name the institution').max(200),
      url: text(500).optional(),
      area: text(200).optional(),
      studyType: text(120).optional(),
      startDate: date.optional(),
      endDate: date.optional(),
      score: text(40).optional(),
      courses: list(text(200), 40),
    }),
    15,
  ),
  skills: list(z.looseObject({ name: text(120), level: text(60).optional(), keywords: list(text(120), 60) }), 40),
  projects: list(
    z.looseObject({
      name: text(200),
      description: text(2_000).optional(),
      highlights: list(text(1_000), 20),
      keywords: list(text(120), 40),
      startDate: date.optional(),
      endDate: date.optional(),
      url: text(500).optional(),
      roles: list(text(120), 10),
      entity: text(200).optional(),
    }),
    30,
  ),
  languages: list(z.looseObject({ language: text(80), fluency: text(80).optional() }), 20),
  certificates: list(
    z.looseObject({ name: text(200), issuer: text(200).optional(), date: date.optional(), url: text(500).optional() }),
    30,
  ),
  awards: list(
    z.looseObject({
      title: text(200).optional(),
      date: date.optional(),
      awarder: text(200).optional(),
      summary: text(1_000).optional(),
    }),
    20,
  ),
  publications: list(
    z.looseObject({
      name: text(300).optional(),
      publisher: text(200).optional(),
      releaseDate: date.optional(),
      url: text(500).optional(),
      summary: text(1_000).optional(),
    }),
    30,
  ),
  interests: list(z.looseObject({ name: text(120).optional(), keywords: list(text(120), 20) }), 20),
  references: list(z.looseObject({ name: text(200).optional(), reference: text(1_000).optional() }), 10),
})
export type Profile = z.infer<typeof Profile>

/** How a posting can be read, in order of trust. */
export const POSTING_SOURCES = [
  'selection',
  'json-ld',
  'greenhouse',
  'lever',
  'ashby',
  'workday',
  'linkedin',
  'indeed',
  'readability',
] as const
export type PostingSource = (typeof POSTING_SOURCES)[number]

/** A job posting as text. `title`, `company` and `location` are '' when the page does not say. */
export const Posting = z.strictObject({
  source: z.enum(POSTING_SOURCES),
  title: text(300),
  company: text(200),
  location: text(300),
  /** Plain text; paragraphs and list items on lines of their own. */
  description: z.string().trim().min(1).max(50_000),
})
export type Posting = z.infer<typeof Posting>

/** Body of POST /generate. At most {@link MAX_GENERATE_BYTES}. */
export const GenerateRequest = z.strictObject({ profile: Profile, posting: Posting })
export type GenerateRequest = z.infer<typeof GenerateRequest>
/** Largest accepted POST /generate body, bytes. */
export const MAX_GENERATE_BYTES = 512 * 1024
/** Largest accepted POST /compile body (one LaTeX file, or a zip, tar or tar.gz), bytes. */
export const MAX_COMPILE_BYTES = 4 * 1024 * 1024
