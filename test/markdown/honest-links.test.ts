import { describe, expect, it } from "vitest";
import { isHonest } from "../../src/markdown/honest-links.ts";

const LINK = "https://evil.example/page";

describe("words that name another host than their link's", () => {
  it.each([
    "bank.example",
    "「bank.example」",
    "（bank.example）",
    "官网：bank.example",
    "官网：https://bank.example/login",
    "请看bank.example",
    "bank.example的网站",
    "🔒bank.example",
    "→bank.example",
    "/bank.example",
    "evil.example bank.example",
    "evil.example → bank.example",
    "readme.md bank.example",
    "1.html https://bank.example",
    "ftp://bank.example",
    "https://intranet/page",
    "https://evil.example@bank.example",
    "http://bank.example@evil.example",
    "user@bank.example/login",
    "@bank.example",
    "https://evil.example:bank.example",
    "1.1.1.1/login",
    "http://1.1.1.1",
    "中国银行.公司",
  ])("are found: %s", (label) => {
    expect(isHonest(label, LINK)).toBe(false);
  });

  it.each([
    ["an invisible space", "bank\u200b.example"],
    ["an invisible space before it", "\u200bbank.example"],
    ["a soft hyphen", "ba\u00adnk.example"],
    ["a mark of direction", "ba\u061cnk.ex\u200eample"],
    ["a combining mark", "b\u0332ank\u0332.example"],
    ["a wide dot", "bank．example"],
    ["a one dot leader", "bank․example"],
    ["a Chinese full stop", "bank。example"],
    ["a middle dot", "bank·example"],
    ["a blank of braille", "bank\u2800.example"],
    ["tags", "bank<b>.</b>example"],
    ["an escape", String.raw`bank\.example`],
    ["a reference to a character", "bank&#46;example"],
    ["marks", "**bank**.example"],
  ])("are found behind %s", (_what, label) => {
    expect(isHonest(label, LINK)).toBe(false);
  });
});

describe("words that go with their link", () => {
  it.each([
    "the manual",
    "第一章。概述",
    "evil.example",
    "www.evil.example",
    "请看evil.example",
    "evil.example的网站",
    "https://evil.example/other.page?x=1.5#y.z",
    "README.md",
    "报告.xlsx",
    "v1.2.3",
    "support@bank.example",
    "4.8.1.2 发布",
    "1.概述",
    "第一章.引言",
    "A.b方法",
    "archive.tar.gz",
    "index.d.ts",
    "main.go",
    "e.g. this",
  ])("stay: %s", (label) => {
    expect(isHonest(label, LINK)).toBe(true);
  });

  it.each([
    ["the address itself, with dots behind its host", "https://a.example/v1.foo/bar"],
    ["a name in Chinese", "https://例子.公司/a"],
  ])("stay: %s", (_what, url) => {
    expect(isHonest(url, url)).toBe(true);
    expect(isHonest(url.slice("https://".length), url)).toBe(true);
  });

  it("stay where they are the whole address, whatever is in it", () => {
    expect(isHonest("https://a.example/说明.最终", "https://a.example/说明.最终")).toBe(true);
  });

  it("stay where they are the mailbox", () => {
    expect(isHonest("me@a.example", "mailto:me@a.example")).toBe(true);
  });
});

it("finds no link honest that leads where nobody may be led", () => {
  expect(isHonest("the manual", "javascript:alert(1)")).toBe(false);
});
