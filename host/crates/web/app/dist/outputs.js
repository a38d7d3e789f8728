function e(e,t){let n=e.replace(/\n+$/,``).split(`
`);return n.length<=30?{shown:n.join(`
`),hidden:0}:{shown:(t?n.slice(-24):n.slice(0,24)).join(`
`),hidden:n.length-24}}function t(e){return/<(content|file|task_result|result)>\n?([\s\S]*?)\n?<\/\1>/.exec(e)?.[2]??e.replace(/^\s*<task\b[^>]*>\n?/,``).replace(/\n?<\/task>\s*$/,``)}export{t as n,e as t};