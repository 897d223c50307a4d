/** The job boards we know the markup of. Their order is of no consequence: a page is one board's at most. */

import { ashby } from './ashby.ts'
import { greenhouse } from './greenhouse.ts'
import { indeed } from './indeed.ts'
import type { JobBoard } from './job-board.ts'
import { lever } from './lever.ts'
import { linkedin } from './linkedin.ts'
import { workday } from './workday.ts'

export const JOB_BOARDS: readonly JobBoard[] = [greenhouse, lever, ashby, workday, linkedin, indeed]
