// The page in a real browser against a real chain, with a wallet that signs with a development key.
//
// Usage: node tests/browser.mjs PAGE_URL RPC_URL FACTS.json [--screenshots FOLDER] [name …]
// FACTS: {"key": wallet's private key, "operators": [...], "task": settled task, "trainer": …, "token": …, "staking": …, "unbonding": s}
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import AxeBuilder from "@axe-core/playwright";
import { chromium } from "playwright-core";
import { createClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { sendTransaction, waitForTransactionReceipt } from "viem/actions";

const [, , pageUrl, rpcUrl, factsFile, ...rest] = process.argv;
const facts = JSON.parse(readFileSync(factsFile, "utf8"));
const shots = rest.includes("--screenshots") ? rest[rest.indexOf("--screenshots") + 1] : "";
const wanted = rest.filter((name) => name !== "--screenshots" && name !== shots);
if (shots) mkdirSync(shots, { recursive: true });
const account = privateKeyToAccount(facts.key);
const other = privateKeyToAccount(`0x${"7e".repeat(32)}`);
const rpc = createClient({ transport: http(rpcUrl) });
const WAIT = Number(process.env.WAIT ?? 120_000); // the machine may be busy

const chain = { id: facts.chainId, name: "test", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: [rpcUrl] } } };
const ask = (method, ...params) => rpc.request({ method, params });
const mine = async (seconds = 0) => {
  if (seconds) await ask("evm_increaseTime", seconds);
  await ask("evm_mine");
};

/** What the wallet of a test does: `refuse` rejects what needs a confirmation, `chainId` is its chain, `atomic` makes batches. */
const newWallet = (changes = {}) => ({ refuse: false, chainId: facts.chainId, atomic: false, account: account.address, hold: null, asked: [], ...changes });

function rejected() {
  return { error: { code: 4001, message: "User rejected the request." } };
}

async function send(transaction) {
  const hash = await sendTransaction(rpc, { account, chain, to: transaction.to, data: transaction.data, value: 0n });
  return hash;
}

/** Answers a request of the page to the wallet. */
async function walletAnswer(wallet, { method, params }) {
  wallet.asked.push(method);
  if (wallet.hold && ["eth_sendTransaction", "eth_signTypedData_v4"].includes(method)) await wallet.hold;
  switch (method) {
    case "eth_requestAccounts":
      return wallet.refuse ? rejected() : { result: [wallet.account] };
    case "eth_accounts":
      return { result: [wallet.account] };
    case "eth_chainId":
      return { result: `0x${wallet.chainId.toString(16)}` };
    case "wallet_switchEthereumChain":
      if (wallet.unknownChain) return { error: { code: 4902, message: "Unrecognized chain" } };
      wallet.chainId = Number(params[0].chainId);
      return { result: null };
    case "wallet_addEthereumChain":
      wallet.added = params[0];
      wallet.chainId = Number(params[0].chainId);
      return { result: null };
    case "eth_signTypedData_v4": {
      if (wallet.refuse) return rejected();
      const data = JSON.parse(params[1]);
      delete data.types.EIP712Domain;
      const number = { ...data.message, value: BigInt(data.message.value), nonce: BigInt(data.message.nonce), deadline: BigInt(data.message.deadline) };
      return { result: await account.signTypedData({ ...data, message: number }) };
    }
    case "eth_sendTransaction":
      return wallet.refuse ? rejected() : { result: await send(params[0]) };
    case "wallet_getCapabilities":
      return wallet.atomic ? { result: { [`0x${facts.chainId.toString(16)}`]: { atomic: { status: "supported" } } } } : { error: { code: -32601, message: "no such method" } };
    case "wallet_sendCalls": {
      if (wallet.refuse) return rejected();
      const hashes = [];
      for (const call of params[0].calls) hashes.push(await send(call));
      wallet.calls = hashes;
      return { result: { id: "0x01" } };
    }
    case "wallet_getCallsStatus": {
      const receipts = await Promise.all(wallet.calls.map((hash) => waitForTransactionReceipt(rpc, { hash })));
      const plain = receipts.map((one) => ({ logs: [], status: "0x1", blockHash: one.blockHash, blockNumber: `0x${one.blockNumber.toString(16)}`, gasUsed: "0x1", transactionHash: one.transactionHash }));
      return { result: { version: "2.0.0", id: "0x01", chainId: `0x${facts.chainId.toString(16)}`, status: 200, atomic: true, receipts: plain } };
    }
    default:
      return { error: { code: -32601, message: `no such method: ${method}` } };
  }
}

/** Runs in the page: a provider that announces itself as EIP-6963 says. */
function announce() {
  const listeners = {};
  const provider = {
    async request(request) {
      const answer = await globalThis.walletRequest(JSON.stringify(request));
      if (answer.error) throw Object.assign(new Error(answer.error.message), { code: answer.error.code });
      return answer.result;
    },
    on(name, listener) {
      (listeners[name] ??= []).push(listener);
    },
    removeListener(name, listener) {
      listeners[name] = (listeners[name] ?? []).filter((one) => one !== listener);
    },
  };
  globalThis.walletEmit = (name, value) => (listeners[name] ?? []).forEach((listener) => listener(value));
  const info = { uuid: "6d7c2f8e-0000-4000-8000-000000000001", name: "Test Wallet", icon: "data:,", rdns: "test.wallet" };
  const tell = () => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) }));
  addEventListener("eip6963:requestProvider", tell);
  tell();
}

const program = [process.env.COVEY_CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => path && existsSync(path));
const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });

let current = null; // the page of the running test, for its report

/** A fresh page. Errors that the page throws fail the test. */
async function open(hash, { wallet = newWallet(), width = 1100, before } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, acceptDownloads: true, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT);
  current = page;
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.exposeFunction("walletRequest", (text) => walletAnswer(wallet, JSON.parse(text)));
  await page.addInitScript(announce);
  if (before) await before(page);
  await page.goto(`${pageUrl}${hash}`);
  return { page, errors, context, wallet };
}

function check(condition, message) {
  if (!condition) throw new Error(message);
}

async function settled(page) {
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
}

async function accessible(page, name) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  check(violations.length === 0, `${name}: ${violations.map((one) => `${one.id} (${one.nodes[0].html})`).join("; ")}`);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(overflow <= 0, `${name} is ${overflow} px wider than the window`);
}

async function connect(page) {
  await page.getByRole("button", { name: "Test Wallet" }).click();
  await page.getByRole("button", { name: "Forget wallet" }).waitFor();
}

async function choose(page, operator, amount) {
  await page.getByLabel("Operator", { exact: true }).fill(operator);
  await page.locator("#delegate-amount").fill(amount);
}

const delegateButton = (page) => page.getByRole("button", { name: "Delegate", exact: true });
const status = (page, text) => page.getByRole("status").filter({ hasText: text }).first().waitFor();
const views = (page) => [["#/", "overview"], ["#/operators", "operators"], [`#/operator/${facts.operators[0]}`, "operator"], ["#/stake", "stake"], ["#/tasks", "tasks"], [`#/task/${facts.task}`, "task"], ["#/audit", "audit"], ["#/settings", "settings"]].map(([hash, name]) => ({ hash, name, page }));

const tests = {
  async "every view is accessible, in light and dark, wide and at 360 px, in both languages"() {
    for (const [width, scheme, language] of [[1100, "light", "en"], [360, "dark", "zh"]]) {
      const { page, errors, context } = await open("#/", { width });
      await page.emulateMedia({ colorScheme: scheme });
      await settled(page);
      await page.locator("footer select").selectOption(language);
      for (const { hash, name } of views(page)) {
        await page.goto(`${pageUrl}${hash}`);
        await settled(page);
        await page.locator("h1").waitFor();
        if (hash === "#/stake") await connect(page).catch(() => page.getByRole("button", { name: "断开钱包" }).waitFor());
        await settled(page);
        await accessible(page, `${name} (${width} px, ${scheme}, ${language})`);
        if (shots) await page.screenshot({ path: `${shots}/${name}-${width}-${language}.png`, fullPage: true });
        check((await page.title()).endsWith("Covey"), `${name} has no title`);
      }
      check(errors.length === 0, errors.join("; "));
      await context.close();
    }
  },
  async "the keyboard reaches the content, and a new view takes the focus"() {
    const { page, context } = await open("#/");
    await settled(page);
    await page.keyboard.press("Tab");
    const first = await page.evaluate(() => document.activeElement?.textContent);
    for (let i = 0; i < 4; i++) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.tagName === "H1");
    check(first !== "", "nothing takes the focus");
    await context.close();
  },
  async "operators are listed, sorted, searched and saved"() {
    const { page, context } = await open("#/operators");
    await page.getByRole("table").waitFor();
    check((await page.locator("tbody tr").count()) === facts.operators.length, "not all operators are listed");
    await page.getByRole("button", { name: "Sort by Pool" }).click();
    const amounts = await page.locator("tbody tr td:nth-child(2)").allTextContents();
    const numbers = amounts.map((text) => Number(text.replaceAll(",", "")));
    check(numbers.every((value, i) => i === 0 || value <= numbers[i - 1]), `not sorted: ${amounts}`);
    await page.getByLabel("Search by address").fill(facts.operators[1].slice(0, 12));
    check((await page.locator("tbody tr").count()) === 1, "the search finds more than one");
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download CSV" }).click()]);
    const text = readFileSync(await download.path(), "utf8");
    check(text.startsWith("operator,pool_wei") && text.includes(facts.operators[1]), text);
    await context.close();
  },
  async "an operator's page shows its record; a wrong address is named"() {
    const { page, context } = await open(`#/operator/${facts.operators[0]}`);
    await page.getByText("Share price over time").waitFor();
    await page.goto(`${pageUrl}#/operator/0x12`);
    await page.getByText("“0x12” is no address").waitFor();
    await page.goto(`${pageUrl}#/operator/0x00000000000000000000000000000000000000AA`);
    await page.getByText("is not registered as an operator").waitFor();
    await context.close();
  },
  async "delegating by permit needs one signature and one transaction"() {
    const { page, wallet, errors, context } = await open("#/stake");
    await connect(page);
    await choose(page, facts.operators[0], "10");
    await page.getByText("10 CVY leave your account").waitFor();
    await delegateButton(page).click();
    await status(page, "Included in block");
    check(wallet.asked.filter((method) => method === "eth_sendTransaction").length === 1, wallet.asked.join());
    check(wallet.asked.includes("eth_signTypedData_v4"), wallet.asked.join());
    await ask("anvil_mine", "0x50");
    await status(page, "Final in block");
    await page.locator("li.card").first().waitFor();
    await page.goto(`${pageUrl}#/`);
    await page.getByText("Whom you staked to").waitFor();
    await page.locator("section.card li").first().waitFor();
    check(errors.length === 0, errors.join("; "));
    await context.close();
  },
  async "delegating by approval needs two transactions, and a batch one confirmation"() {
    const first = await open("#/stake");
    await connect(first.page);
    await choose(first.page, facts.operators[1], "3");
    await first.page.getByLabel("With an approval").check();
    await delegateButton(first.page).click();
    await first.page.waitForFunction(() => document.querySelector("#delegate-amount")?.value === "");
    check(first.wallet.asked.filter((method) => method === "eth_sendTransaction").length === 2, first.wallet.asked.join());
    await first.context.close();
    const second = await open("#/stake", { wallet: newWallet({ atomic: true }) });
    await connect(second.page);
    await second.page.getByLabel("Operator", { exact: true }).fill(facts.operators[1]);
    await second.page.getByLabel("As one batch").waitFor();
    await choose(second.page, facts.operators[1], "4");
    await delegateButton(second.page).click();
    await second.page.waitForFunction(() => document.querySelector("#delegate-amount")?.value === "");
    check(second.wallet.asked.includes("wallet_sendCalls") && !second.wallet.asked.includes("eth_sendTransaction"), second.wallet.asked.join());
    await second.context.close();
  },
  async "amounts that cannot be are refused before the wallet opens"() {
    const { page, wallet, context } = await open("#/stake");
    await connect(page);
    for (const [amount, words] of [["1e3", "Enter a number"], ["-1", "above 0"], ["0", "above 0"], ["1.0000000000000000001", "18 decimals"], ["99999999", "Your balance is"]]) {
      await choose(page, facts.operators[0], amount);
      await page.getByText(words).first().waitFor();
      check(await delegateButton(page).isDisabled(), `${amount} can be sent`);
    }
    await page.getByLabel("Operator", { exact: true }).fill("0x5FbDB2315678afecb367f032d93F642f64180aA3");
    await page.getByText("is no address").waitFor();
    check(!wallet.asked.includes("eth_sendTransaction"), "the wallet was asked");
    await context.close();
  },
  async "a rejected connection and a rejected signature lose nothing"() {
    const { page, wallet, context } = await open("#/stake", { wallet: newWallet({ refuse: true }) });
    await page.getByRole("button", { name: "Test Wallet" }).click();
    await page.getByText("You rejected the request").waitFor();
    wallet.refuse = false;
    await connect(page);
    await choose(page, facts.operators[0], "5");
    wallet.refuse = true;
    await delegateButton(page).click();
    await status(page, "You rejected the request");
    check((await page.locator("#delegate-amount").inputValue()) === "5", "the amount is lost");
    wallet.refuse = false;
    await delegateButton(page).click();
    await status(page, "Included in block");
    await context.close();
  },
  async "a wallet on another chain is asked to switch, and learns the chain"() {
    const { page, wallet, context } = await open("#/stake", { wallet: newWallet({ chainId: 1, unknownChain: true }) });
    await connect(page);
    await page.getByText("The wallet is on chain 1").waitFor();
    await choose(page, facts.operators[0], "5");
    check(await delegateButton(page).isDisabled(), "a transaction on the wrong chain can be sent");
    await page.getByRole("button", { name: "Switch the wallet" }).click();
    await page.waitForFunction(() => !document.body.innerText.includes("The wallet is on chain"));
    check(wallet.added.rpcUrls[0].startsWith("http"), JSON.stringify(wallet.added));
    await context.close();
  },
  async "an account that changes half-way sends nothing"() {
    let release;
    const hold = new Promise((resolve) => (release = resolve));
    const { page, wallet, context } = await open("#/stake", { wallet: newWallet({ hold }) });
    await connect(page);
    await choose(page, facts.operators[0], "6");
    await delegateButton(page).click();
    await status(page, "Confirm in your wallet");
    await page.evaluate((address) => globalThis.walletEmit("accountsChanged", [address]), other.address);
    release();
    await page.getByText("This account has no stake").waitFor();
    check(!wallet.asked.includes("eth_sendTransaction"), "a transaction was sent for the old account");
    await context.close();
  },
  async "undelegating says when it unlocks; the entry can be cancelled, and withdrawn when it is due"() {
    const { page, context } = await open("#/stake");
    await connect(page);
    const card = page.locator("li.card").first();
    for (const turn of [1, 2]) {
      await card.getByText("Undelegate", { exact: true }).first().click();
      await card.locator("input").fill("2");
      await card.getByText("start to unbond").waitFor();
      await card.getByRole("button", { name: "Undelegate", exact: true }).click();
      const leave = page.getByText("Slashable until").first();
      await leave.waitFor();
      if (turn === 1) {
        await page.getByRole("button", { name: "Cancel and stay" }).click();
        await page.getByText("Nothing is unbonding").waitFor();
        await page.reload();
        await connect(page);
      }
    }
    await mine(facts.unbonding + 1);
    await page.getByText("Ready to withdraw").waitFor();
    await page.getByRole("button", { name: "Withdraw", exact: true }).click();
    await page.getByText("Nothing is unbonding").waitFor();
    await context.close();
  },
  async "a reverting call is explained before the wallet opens"() {
    const { page, wallet, context } = await open("#/stake");
    await connect(page);
    await choose(page, facts.operators[0], "1");
    await ask("anvil_impersonateAccount", facts.governor);
    await ask("eth_sendTransaction", { from: facts.governor, to: facts.staking, data: `0x16c38b3c${"1".padStart(64, "0")}` }); // setPaused(true)
    try {
      await page.getByLabel("With an approval").check();
      await delegateButton(page).click();
      await status(page, "StakingPaused");
    } finally {
      await ask("eth_sendTransaction", { from: facts.governor, to: facts.staking, data: `0x16c38b3c${"0".padStart(64, "0")}` });
    }
    check(wallet.asked.filter((method) => method === "eth_sendTransaction").length === 1, "the wallet was asked for more than the approval");
    await context.close();
  },
  async "a reorganisation under a transaction is noticed"() {
    const { page, context } = await open("#/stake");
    await connect(page);
    await choose(page, facts.operators[0], "1.25");
    await delegateButton(page).click();
    await status(page, "Included in block");
    await ask("anvil_reorg", 1, []);
    await status(page, "A reorganisation removed");
    await context.close();
  },
  async "a settled task is recomputed: all figures agree, and each reward is explained"() {
    const { page, errors, context } = await open(`#/task/${facts.task}`);
    await page.getByText("all agree").waitFor();
    await page.getByText("Why was").first().click();
    await page.getByText("Reward:").first().waitFor();
    check((await page.locator("canvas").count()) === 1, "no heat map");
    await page.goto(`${pageUrl}#/task/999`);
    await page.getByText("There is no task 999").waitFor();
    check(errors.length === 0, errors.join("; "));
    await context.close();
  },
  async "an endpoint that doctors one score is found out"() {
    const doctor = async (page) => {
      await page.route("**/rpc", async (route) => {
        const answer = await route.fetch();
        const text = await answer.text();
        // ScoresRevealed events end with the packed words; the last sixteen bits that are no padding are changed.
        const changed = text.replace(new RegExp(`${facts.word.slice(2)}`, "g"), facts.otherWord.slice(2));
        await route.fulfill({ response: answer, body: changed });
      });
    };
    const { page, context } = await open(`#/task/${facts.task}`, { before: doctor });
    await page.getByText(/\d+ of \d+ figures differ/).waitFor();
    await context.close();
  },
  async "the audit recomputes every task and compares the code"() {
    const { page, context } = await open("#/audit");
    await settled(page);
    await page.getByRole("button", { name: "Recompute" }).click();
    await page.getByText("all agree").first().waitFor();
    await page.getByRole("button", { name: "Compare the deployed code" }).click();
    await page.getByText("matches the record").first().waitFor();
    check((await page.getByText("differs from the record").count()) === 0, "code differs");
    await ask("anvil_setCode", facts.token, "0x60016000fd");
    await page.getByRole("button", { name: "Compare the deployed code" }).click();
    await page.getByText("differs from the record").waitFor();
    await ask("anvil_setCode", facts.token, facts.tokenCode);
    await context.close();
  },
  async "a dead endpoint and one of another chain are named, and another one helps"() {
    const { page, context } = await open("#/", { before: (page) => page.route("**/rpc", (route) => route.abort()) });
    await page.getByText("does not answer").waitFor();
    await page.unroute("**/rpc");
    await page.goto(`${pageUrl}#/settings`);
    await page.getByLabel("RPC endpoint").fill("./rpc");
    await page.getByRole("button", { name: "Use" }).click();
    await page.getByText("The page now reads from").waitFor();
    await page.route("**/rpc", async (route) => {
      const answer = await route.fetch();
      const body = (await answer.text()).replaceAll(`"0x${facts.chainId.toString(16)}"`, '"0x5"');
      await route.fulfill({ response: answer, body });
    });
    await page.getByRole("button", { name: "Use" }).click();
    await page.getByText("is of chain 5").waitFor();
    await context.close();
  },
};

let passed = 0;
let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  if (wanted.length && !wanted.some((part) => name.includes(part))) continue;
  try {
    await test();
    passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    const said = await current?.locator("[role=status], [role=alert], .problem").allTextContents().catch(() => []);
    console.log(`        the page said: ${JSON.stringify((said ?? []).filter(Boolean))}`);
    console.log(`FAILED  ${name}\n        ${String(error.message ?? error).split("\n").slice(0, 12).join("\n        ")}`);
  }
}
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || passed === 0 ? 1 : 0);
