// The words that pretraining documents use as tags, and the phrases that introduce them. Any word
// may stand for any role, but for the five pairs that the real protocol has: those never occur
// (audit.ts counts them).

/** What a tag is for. `call` looks something up, `code` has something computed. */
export type TagRole = "thought" | "call" | "code" | "observation" | "answer";
export const TAG_ROLES: readonly TagRole[] = ["thought", "call", "code", "observation", "answer"];

/** The real protocol's word for each role. */
export const REAL_WORDS: Readonly<Record<TagRole, string>> = {
  thought: "think",
  call: "search",
  code: "code",
  observation: "information",
  answer: "answer",
};

export const TAG_WORDS: readonly string[] = (
  "think search information answer plan note idea reason muse step mind thought guide work call " +
  "find fetch seek probe request ask lookup query tool scan dig hunt pull get result page text " +
  "data fact found reply response source entry record reading return card report line final " +
  "solution end done out verdict close last summary finish value output say tell give alpha " +
  "beta gamma delta red blue green gold stone leaf lamp door wave moon star bird fish box key " +
  "map road hill one two three four left right up down in first next begin open turn side part " +
  "zib korp flen drax yupo quil mond trask vexo bram pliv nost gril wemb zhuk snarf oxt fip " +
  "jurn clod code python run eval sum calc compute count machine program script math"
).split(" ");

/** How a header describes each role. */
export const DESCRIPTIONS: Readonly<Record<TagRole, readonly string[]>> = {
  thought: ["your reasoning", "your thoughts", "what you need", "the plan", "some reasoning"],
  call: ["a query", "your query", "what to look up", "the words to look up", "a request"],
  code: ["your code", "an expression", "a sum", "what to work out", "some numbers to combine"],
  observation: ["the result", "what was found", "the page", "the text found", "a fact"],
  answer: [
    "the result you give",
    "the name asked for",
    "the number asked for",
    "your conclusion",
    "the final name",
    "your reply",
  ],
};

export const LOOKUP_INTRODUCTIONS: readonly string[] = [
  "Solve each question step by step.",
  "Each question is solved with a lookup.",
  "Here questions are solved with notes and lookups.",
  "A reader looks up facts and replies.",
  "Work in this format.",
  "Facts can be looked up before the reply.",
  "Follow these rules.",
  "This is how a question is handled.",
  "Reply to questions about an almanac.",
  "The format of this page:",
  "Questions and replies with a book of facts.",
  "You can look things up. Use these marks:",
];
export const COMPUTING_INTRODUCTIONS: readonly string[] = [
  "Solve each question step by step.",
  "Each result is worked out by a machine.",
  "Here numbers are not guessed but computed.",
  "Work in this format.",
  "Sums are given to a machine.",
  "Follow these rules.",
  "This is how a question is handled.",
  "The format of this page:",
  "You can have things computed. Use these marks:",
];
export const BOTH_INTRODUCTIONS: readonly string[] = [
  "Solve each question step by step.",
  "Facts are looked up, numbers are worked out.",
  "There is a book of facts and a machine for sums.",
  "Work in this format.",
  "Look up what you lack, compute what you must.",
  "Follow these rules.",
  "This is how a question is handled.",
  "The format of this page:",
];

export const EXAMPLE_INTRODUCTIONS: readonly string[] = [
  "Examples:",
  "For example:",
  "Some examples follow.",
  "Example:",
  "These are solved already:",
  "Some that are done:",
  "See these first.",
];
export const READY_LINES: readonly string[] = [
  "Your turn.",
  "Now a new question.",
  "Now do this one.",
  "The next question:",
  "Go on with this one.",
  "Now reply to this question.",
  "Here is the question.",
  "This one is open:",
  "Solve this one.",
  "What follows is for you.",
  "A question to reply to:",
  "Now it begins.",
];
export const QUESTION_LABELS: readonly string[] = [
  "Question:",
  "Q:",
  "Problem:",
  "Task:",
  "Asked:",
  "Question -",
  "Item:",
];
