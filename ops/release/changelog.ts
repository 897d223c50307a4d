/** What CHANGELOG.md says of a version, in the form of https://keepachangelog.com. */

/** Markdown, without the heading. Throws where nothing is said of it, or no date. */
export function notesOf(changelog: string, version: string): string {
  const [, ...sections] = changelog.split(/^## /m)
  const section = sections.find((text) => text.startsWith(`[${version}]`))
  const [heading = '', ...lines] = section?.split('\n') ?? []
  const notes = lines.join('\n').trim()
  if (!/^\[[^\]]+\] - \d{4}-\d\d-\d\d$/.test(heading) || !notes) {
    throw new Error(`CHANGELOG.md has no "## [${version}] - YYYY-MM-DD" with something below it. Say what is new.`)
  }
  return `${notes}\n`
}
