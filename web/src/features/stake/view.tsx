// Stake with a wallet: delegate, undelegate, withdraw.
import { type JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Address } from "viem";
import { readContract } from "viem/actions";
import { balanceOf } from "../../abi/CoveyToken";
import { unbondingPeriod } from "../../abi/Staking";
import { addressOf, readLeaving, readOperators, readPool, readPositions } from "../../web3/read";
import { client, deployment, endpoint, absolute, head } from "../../web3/session";
import { useData } from "../../web3/use-data";
import { account, connect, forget, switchChain, wallet, walletChain, wallets } from "../../web3/wallet";
import { isRejected, oneLine } from "../../web3/errors";
import { Account, Amount, dateOf, Heading, Show, span, typedAddress } from "../../ui/base";
import { t } from "../../words";
import { DelegateForm } from "./delegate";
import { Leavings, Positions } from "./positions";

export function Stake({ argument }: { argument: string }): JSX.Element {
  return (
    <>
      <Heading title={t("stake")} />
      <WalletBox />
      {account.value && <Holder owner={account.value} wanted={argument} />}
    </>
  );
}

function WalletBox(): JSX.Element {
  const [problem, setProblem] = useState("");
  const page = deployment.value?.chainId ?? 0;
  const attempt = (action: Promise<void>): void => {
    setProblem("");
    action.catch((error: unknown) => setProblem(isRejected(error) ? t("rejected") : oneLine(error)));
  };
  const owner = account.value;
  return (
    <section class="card" aria-label={t("connect")}>
      {!owner ? (
        wallets.value.length === 0 ? (
          <p>{t("noWallet")}</p>
        ) : (
          <>
            <p>{t("chooseWallet")}</p>
            <div class="row">
              {wallets.value.map((one) => (
                <button key={one.id} type="button" class="primary" onClick={() => attempt(connect(one))}>
                  {one.name}
                </button>
              ))}
            </div>
          </>
        )
      ) : (
        <div class="row">
          <span>{wallet.value?.name}</span> <Account address={owner} />
          <button type="button" onClick={forget}>
            {t("disconnect")}
          </button>
        </div>
      )}
      {owner && walletChain.value !== page && (
        <p class="warning">
          {t("wrongChain", { wallet: walletChain.value, page })}{" "}
          <button type="button" onClick={() => attempt(switchChain(page, absolute(endpoint.value)))}>
            {t("switchChain", { page })}
          </button>
        </p>
      )}
      <p role="alert" class="problem">
        {problem}
      </p>
    </section>
  );
}

function Holder({ owner, wanted }: { owner: Address; wanted: string }): JSX.Element {
  const [chosen, setChosen] = useState(wanted);
  const operator = typedAddress(chosen);
  const mine = useData(async () => {
    const operators = await readOperators();
    const [positions, leaving, balance, period] = await Promise.all([
      readPositions(owner, operators),
      readLeaving(owner, operators),
      readContract(client.value, { address: addressOf("CoveyToken"), abi: balanceOf, functionName: "balanceOf", args: [owner] }),
      readContract(client.value, { address: addressOf("Staking"), abi: unbondingPeriod, functionName: "unbondingPeriod" }),
    ]);
    return { operators, positions, leaving, balance, period };
  }, [owner]);
  const pool = useData(async () => (operator ? readPool(operator) : null), [operator]);
  useEffect(() => setChosen(wanted), [wanted]);
  const ready = walletChain.value === deployment.value?.chainId;
  return (
    <Show of={mine}>
      {(found) => (
        <>
          <p>
            {t("balance", { amount: "" }).replace("CVY", "").trim()} <Amount wei={found.balance} /> CVY
          </p>
          <Positions positions={found.positions} ready={ready} period={found.period} now={head.value?.time ?? 0} done={mine.reload} />
          <h2>{t("delegate")}</h2>
          <div class="field">
            <label for="operator">{t("chooseOperator")}</label>
            <input id="operator" list="operators" value={chosen} onInput={(event) => setChosen(event.currentTarget.value)} spellcheck={false} aria-invalid={chosen !== "" && !operator} />
            <datalist id="operators">
              {found.operators.map((one) => (
                <option key={one} value={one} />
              ))}
            </datalist>
            {chosen !== "" && !operator && (
              <p class="problem" role="alert">
                {t("notAnAddress", { text: chosen })}
              </p>
            )}
          </div>
          {operator && (
            <Show of={pool}>
              {(terms) =>
                terms && BigInt(terms.signer) !== 0n ? (
                  <DelegateForm pool={terms} balance={found.balance} ready={ready} done={mine.reload} />
                ) : (
                  <p class="problem" role="alert">
                    {t("unknownOperator", { address: operator })}
                  </p>
                )
              }
            </Show>
          )}
          <h2>{t("unbonding")}</h2>
          <p class="note">
            {t("canLeave", { period: span(found.period, false).replace(/ ago$/, "") })} {head.value ? dateOf(head.value.time + found.period) : ""}
          </p>
          <Leavings entries={found.leaving} owner={owner} ready={ready} now={head.value?.time ?? 0} done={mine.reload} />
        </>
      )}
    </Show>
  );
}
