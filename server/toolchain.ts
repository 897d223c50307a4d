/** Where everything is that typesetting needs; set-up writes it, the configuration reads it. */
export interface Toolchain {
  tectonic: string
  /** Tectonic's own loader and C library, where the machine's are too old, and always what the sandbox shows it. */
  loader?: { ldso: string; libraryPath: string } | undefined
  /** Flat folder of TeX files. Without one Tectonic fetches from its network bundle, and there is no sandbox. */
  bundle?: string | undefined
  /** Tectonic's cache, with the LaTeX format built. */
  texCache: string
  /** Folder of the formats made of templates, as `template-format.ts` names them. */
  formats?: string | undefined
  bwrap?: string | undefined
  prlimit?: string | undefined
}
