// A plugin of opencode that Nexus gives it, to close what opencode 1.18 does without a question though it is told to ask.
//
// Problem: opencode asks before a shell line by the commands that its own parser finds in it, and a line that only redirects,
// declares or tests has none (`> file`; `declare 'a[$(anything)]=1'` even runs one). It asks before a file outside of the
// workspace by the file's name, and a link in the workspace has a name inside.
//
// Mechanism: before a call runs, a line that surely names no command is refused, with words for the model, and a path that
// leads out of the workspace is replaced by where it leads, about which opencode then asks. The workspace's AGENTS.md and
// CLAUDE.md are named here, since a folder's name cannot be written safely into opencode's configuration as text.
//
// Limits: a line is looked at by eye, not parsed; in doubt it is refused, which costs the model one more try. What a command
// that was allowed does is its own matter.
import { realpathSync } from "node:fs";
import path from "node:path";

const KEYWORDS = new Set(["if", "then", "elif", "else", "fi", "while", "until", "do", "done", "time", "coproc", "!", "{", "}"]);
const NOT_ASKED = new Set(["cd", "declare", "typeset", "local", "export", "readonly", "unset", "unsetenv", "let", "case", "for",
  "select", "function", "esac", "in", "[[", "[", "(("]);

// Whether some part of the line surely is a command about which opencode asks. A guess errs towards no.
function isAskedAbout(line) {
  let text = line.replace(/\\\n/g, " ").replace(/\\./gs, "Q");
  text = text.replace(/<<-?\s*\S+[^\n]*\n[^]*$/, " ");
  text = text.replace(/'[^']*'/g, "Q").replace(/"[^"]*"/g, "Q");
  text = text.replace(/(^|[\s;&|()])#[^\n]*/g, "$1");
  text = text.replace(/\[\[[^]*?\]\]/g, " [[ ").replace(/\(\([^]*?\)\)/g, " (( ").replace(/(^|[\s;&|(])\[\s[^]*?\s\](?=$|[\s;&|)])/g, "$1 [ ");
  text = text.replace(/\w+(\[[^\]]*\])?\+?=\([^)]*\)/g, " A=1 ").replace(/\$\{[^}]*\}/g, "$Q");
  text = text.replace(/(?<![^\s;&|()])\d+(?=[<>])/g, "").replace(/(<<<|<>|>>|>\||&>>|&>|[<>]&?)[ \t]*[^\s<>;&|()]+/g, " ");
  return text.split(/[;&|\n()`]/).some((part) => {
    const words = part.trim().split(/\s+/).filter(Boolean);
    for (const word of words) {
      if (KEYWORDS.has(word) || /^\w+(\[[^\]]*\])?\+?=/.test(word)) continue;
      return !NOT_ASKED.has(word) && !/^[<>]|^\$$/.test(word);
    }
    return false;
  });
}

// Where a path leads; of what is not there yet, where it would come to lie.
function leadsTo(file) {
  const rest = [];
  for (let at = file; ; at = path.dirname(at)) {
    try { return path.join(realpathSync(at), ...rest); } catch {
      if (path.dirname(at) === at) return file;
      rest.unshift(path.basename(at));
    }
  }
}

const told = (name) => {
  try { return JSON.parse(process.env.OPENCODE_PERMISSION)[name]; } catch { return "ask"; }
};

export const Guard = async ({ directory }) => {
  const inside = (file) => {
    const way = path.relative(leadsTo(directory), file);
    return way !== ".." && !way.startsWith(`..${path.sep}`) && !path.isAbsolute(way);
  };
  return {
    config: async (config) => {
      const words = process.env.OPENCODE_DISABLE_PROJECT_CONFIG ? ["AGENTS.md", "CLAUDE.md"] : [];
      // The last one is no file: it is how Nexus sees that this was loaded.
      const named = [...words.map((name) => path.join(directory, name)), "/nexus-guard"];
      config.instructions = [...(config.instructions ?? []), ...named];
    },
    "tool.execute.before": async ({ tool }, { args }) => {
      if (tool === "bash" && told("bash") === "ask" && !isAskedAbout(String(args?.command ?? ""))) {
        throw new Error(
          "Nexus: this line names no command, so opencode would run it without asking. Write it with one, as in `true > file` or `printenv NAME`.",
        );
      }
      for (const name of ["filePath", "path", "workdir"]) {
        if (typeof args?.[name] !== "string") continue;
        const to = leadsTo(path.resolve(directory, args[name]));
        if (!inside(to)) args[name] = to;
      }
    },
  };
};
// For its test: opencode takes each export for a plugin.
Guard.isAskedAbout = isAskedAbout;
