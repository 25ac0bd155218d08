import { describe, expect, it } from "vitest";
import { ERROR_CODES } from "../../src/core/errors.ts";
import { catchUpNotice, fileNotice, noticeFor, withReference } from "../../src/core/notices.ts";

const SENTENCE_CODES = ERROR_CODES.filter((code) => !code.startsWith("FILE_"));
/** What an asker cannot do anything with, or must not see. */
const NOT_FOR_ASKERS = /https?:|www\.|<|>|@|[A-Z]+_[A-Z]+|\d{3,}|undefined|null/;

describe.each(SENTENCE_CODES)("the notice for %s", (code) => {
  it("is a whole sentence in both languages", () => {
    expect(noticeFor(code, "en")).toMatch(/^[A-Z].*\.$/);
    expect(noticeFor(code, "zh")).toMatch(/^\p{Script=Han}.*。$/u);
  });

  it("has no address, no code and no mention in it", () => {
    expect(noticeFor(code, "en")).not.toMatch(NOT_FOR_ASKERS);
    expect(noticeFor(code, "zh")).not.toMatch(NOT_FOR_ASKERS);
  });
});

describe.each(ERROR_CODES)("the notice about a file for %s", (code) => {
  it("names the file in a whole sentence in both languages", () => {
    expect(fileNotice("a.bin", code, "en")).toMatch(/^“a\.bin” was not sent to the bot: it [a-z].*[a-z]\.$/);
    expect(fileNotice("a.bin", code, "zh")).toMatch(/^文件“a\.bin”没有发给智能体：[\p{Script=Han} \d]+。$/u);
  });
});

it("tells how many questions were left out", () => {
  expect(catchUpNotice(1, "en")).toMatch(/^1 more question was .*\.$/);
  expect(catchUpNotice(12, "en")).toMatch(/^12 more questions were .*\.$/);
  expect(catchUpNotice(12, "zh")).toMatch(/^.*12 个问题.*。$/);
});

it("shows a file's name as it is", () => {
  expect(fileNotice("年报 (final).pdf", "FILE_EMPTY", "en")).toContain("“年报 (final).pdf”");
});

it("shows a file's name in one line of bearable length, whatever it is", () => {
  const long = fileNotice(`${"界".repeat(10_000)}.pdf`, "FILE_EMPTY", "en");
  expect(Array.from(long).length).toBeLessThan(140);
  expect(long).toContain("界.pdf”");
  const rightToLeft = "annual\u202Efdp.exe";
  expect(fileNotice(rightToLeft, "FILE_EMPTY", "en")).toContain("“annual fdp.exe”");
  expect(fileNotice("a\r\n\u2028b.bin", "FILE_EMPTY", "en")).toContain("“a b.bin”");
  expect(fileNotice("", "FILE_EMPTY", "en")).toContain("“?”");
});

it("ends with the turn's reference, as its language writes it", () => {
  expect(withReference("Something went wrong.", "K7Q2FM")).toBe("Something went wrong. (K7Q2FM)");
  expect(withReference("出了点问题。", "K7Q2FM")).toBe("出了点问题。（反馈编号：K7Q2FM）");
});
