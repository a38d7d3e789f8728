// A tunnel for a public address that exists already, in JavaScript, made from the contract (`plugin-api/wit`) alone.

import config from "nexus:plugin/config@0.2.0";
import log from "nexus:plugin/log@0.2.0";
import random from "wasi:random/random@0.2.0";

export const tunnel = {
  async describe() {
    return {
      title: "JavaScript",
      url: "stable",
      encryption: "none",
      liveness: "reported",
      eventStreams: true,
      clientAddressHeader: null,
      publicNameHeader: null,
      refused: [],
    };
  },

  async checkAvailability() {
    return { tag: "ready", val: { version: "0.1.0", note: null } };
  },

  async run(origin, cancel) {
    const settings = JSON.parse(config.get());
    if (settings.attempt === "throw") throw new Error("this tunnel is meant to fail");
    log.write("info", `random: ${random.getRandomBytes(8).join(" ")}`);
    const outcome = wit.Future(wit.Future.RESULT_VOID_FAILURE);
    const url = settings.url || `http://${origin.host}:${origin.port}`;
    async function* events() {
      yield { tag: "addresses", val: [{ url, private: false }] };
      yield { tag: "ready", val: 1 };
      const reason = await cancel.read();
      log.write("info", `closed: ${reason}`);
      outcome.writable.write({ tag: "ok" });
    }
    return [events(), outcome.readable];
  },
};
