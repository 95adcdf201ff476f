// A conversation is one stream. The page shows what the stream says and keeps nothing itself: a tab that is opened
// again reads the stream from its beginning, and a connection that is lost goes on after the last offset it has seen.

const $ = (id) => document.getElementById(id);
const log = $("log"), main = document.querySelector("main"), text = $("text");
const LAST = "last conversation";

let conversation = /^\/c\/([0-9a-f]{32})$/.exec(location.pathname)?.[1];
const pending = new Map(); // messages that are sent and not yet in the stream, by their id
const answers = new Map(); // what each step of the agent has written, by the step's id
const tools = new Map(); // calls of tools, by their id
const approvals = new Map();

const randomId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function element(tag, className, content = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content; // text, whatever it looks like
  return made;
}

// ------------------------------------------------------------------------------------------------------- the stream

function listen() {
  const source = new EventSource(`/conversations/${conversation}/events`);
  source.onopen = () => connection("open", "Connected");
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) connection("lost", "Not found");
    else connection("lost", "Reconnecting");
  };
  source.onmessage = ({ data }) => following(() => show(JSON.parse(data)));
  source.addEventListener("reset", ({ data }) => following(() => reset(JSON.parse(data))));
  source.addEventListener("end", () => {
    source.close();
    connection("idle", "Ended");
    settle();
  });
}

function connection(state, words) {
  $("connection").dataset.state = state;
  $("connection").textContent = words;
}

// Scrolls along unless the reader has scrolled up.
function following(change) {
  const atEnd = main.scrollHeight - main.scrollTop - main.clientHeight < 80;
  change();
  if (atEnd) main.scrollTop = main.scrollHeight;
}

function show({ value, step_id }) {
  if (value.event_kind) return step_id ? showOfModel(value, step_id) : showOfTool(value);
  switch (value.kind) {
    case "question":
      pending.get(value.id)?.remove();
      pending.delete(value.id);
      answers.clear(); // the ids of steps begin anew where a conversation continues with a new history
      busy(true);
      return log.append(element("p", "question", value.text));
    case "approval":
      return askApproval(value);
    case "failed":
      log.append(element("p", "failed", value.text));
      return settle();
    case "answered":
      return settle();
  }
}

// What the step has written is void: another attempt begins anew.
function reset({ step_id }) {
  const answer = answers.get(step_id);
  if (!answer) return;
  answer.parts.clear();
  answer.element.replaceChildren(element("p", "again", "Interrupted. The agent tries again."));
}

// ------------------------------------------------------------------------------------------------ what the agent says

function showOfModel(event, stepId) {
  let answer = answers.get(stepId);
  if (!answer) {
    finishTools();
    answer = { element: element("article", "answer"), parts: new Map() };
    answers.set(stepId, answer);
    log.append(answer.element);
  }
  for (const live of document.querySelectorAll(".live")) live.classList.toggle("live", live === answer.element);
  answer.element.classList.add("live");
  busy(true);
  if (event.event_kind === "part_start") startPart(answer, event.index, event.part);
  else if (event.event_kind === "part_delta") answer.parts.get(event.index)?.append(event.delta.content_delta ?? "");
}

function startPart(answer, index, part) {
  answer.element.querySelector(".again")?.remove();
  if (part.part_kind === "text") {
    const paragraph = element("p", "", part.content);
    answer.parts.set(index, paragraph);
    answer.element.append(paragraph);
  } else if (part.part_kind === "tool-call") {
    let list = answer.element.querySelector(".tools");
    if (!list) answer.element.append((list = element("ul", "tools")));
    const chip = element("li", "", part.tool_name.replaceAll("_", " "));
    tools.set(part.tool_call_id, chip);
    list.append(chip);
  }
}

function showOfTool({ event_kind: kind, part, args_valid: valid }) {
  const id = part?.tool_call_id;
  if (kind === "function_tool_call" && valid) showDecision(id, true); // a tool that asked is called when it may be
  else if (kind === "function_tool_result") {
    if (part.outcome === "denied") showDecision(id, false);
    tools.get(id)?.classList.add("done");
  }
}

// The agent goes on when all of its tools have returned.
function finishTools() {
  for (const chip of tools.values()) chip.classList.add("done");
}

function askApproval({ tool_call_id: id, tool_name: tool, args, token }) {
  tools.get(id)?.classList.add("asks");
  const card = element("section", "approval");
  const title = element("h2", "", `Allow “${tool.replaceAll("_", " ")}”?`);
  card.setAttribute("aria-label", title.textContent);
  const list = element("dl", "");
  for (const [name, value] of Object.entries(args)) {
    list.append(element("dt", "", name), element("dd", "", typeof value === "string" ? value : JSON.stringify(value)));
  }
  const choices = element("div", "choices");
  for (const [approved, label, kind] of [[true, "Approve", "yes"], [false, "Decline", "no"]]) {
    const button = element("button", kind, label);
    button.type = "button";
    button.onclick = () => decide(id, token, approved);
    choices.append(button);
  }
  card.append(title, list, choices);
  approvals.set(id, card);
  log.append(card);
  quiet();
}

function showDecision(id, approved) {
  const choices = approvals.get(id)?.querySelector(".choices");
  if (!choices) return;
  choices.replaceWith(element("p", `verdict ${approved ? "yes" : "no"}`, approved ? "Approved" : "Declined"));
  tools.get(id)?.classList.replace("asks", approved ? "running" : "declined");
  busy(true);
}

const busy = (is) => log.setAttribute("aria-busy", is);

// Screen readers read a whole answer, and not each word.
function quiet() {
  for (const live of document.querySelectorAll(".live")) live.classList.remove("live");
  busy(false);
}

function settle() {
  finishTools();
  quiet();
}

// ------------------------------------------------------------------------------------------------------ what you say

async function put(path, body) {
  const answer = await fetch(path, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `the server answered ${answer.status}`);
}

async function send(message) {
  const isNew = !conversation;
  conversation ??= randomId();
  $("welcome").hidden = true;
  const id = randomId(), bubble = element("p", "question pending", message);
  pending.set(id, bubble);
  log.append(bubble);
  main.scrollTop = main.scrollHeight;
  try {
    await put(`/conversations/${conversation}/messages/${id}`, { text: message });
    $("problem").textContent = "";
  } catch (error) {
    pending.delete(id);
    bubble.remove();
    text.value = message;
    if (isNew) conversation = undefined;
    $("problem").textContent = `Not sent: ${error.message}`;
    return;
  }
  if (isNew) {
    history.pushState(null, "", `/c/${conversation}`);
    remember();
    listen();
  }
}

async function decide(id, token, approved) {
  const card = approvals.get(id);
  const buttons = card.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  try {
    await put("/approvals", { token, approved });
    showDecision(id, approved);
    text.focus({ preventScroll: true });
  } catch (error) {
    $("problem").textContent = `Not decided: ${error.message}`;
    for (const button of buttons) button.disabled = false;
  }
}

function remember() {
  try {
    localStorage.setItem(LAST, conversation);
  } catch {} // where a browser keeps nothing, the address does
}

$("composer").onsubmit = (event) => {
  event.preventDefault();
  const message = text.value.trim();
  if (!message) return;
  text.value = "";
  send(message);
};

text.onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
};

for (const button of document.querySelectorAll(".suggestion")) button.onclick = () => send(button.textContent);
window.onpopstate = () => location.reload();

if (conversation) {
  remember();
  connection("lost", "Connecting");
  listen();
} else {
  $("welcome").hidden = false;
  let last;
  try {
    last = localStorage.getItem(LAST);
  } catch {}
  if (last) {
    $("last").hidden = false;
    $("last").firstElementChild.href = `/c/${last}`;
  }
}
