/** Plain JSON. Whatever crosses a process or a restart is made of this. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
