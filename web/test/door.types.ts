// Read by `tsc` only: what index.js exports is what types.d.ts declares, member for member, both ways.
import type * as Declared from "../client/types.d.ts";
import * as door from "../client/index.js";

type Built = typeof door;
type Functions = Pick<typeof Declared, "createRoom" | "joinRoom" | "prepare" | "missing" | "parseRoom" | "CrowflyError">;

const declared: Functions = door;
const complete: Record<keyof Built, unknown> & Record<keyof Functions, unknown> = door;
export { declared, complete };
