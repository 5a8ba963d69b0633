// Which endpoint the page reads from, and which contracts it knows.
import { type JSX } from "preact";
import { useState } from "preact/hooks";
import { Account, Heading } from "../../ui/base";
import { Table } from "../../ui/table";
import { CONTRACTS } from "../../web3/deployment";
import { deployment, endpoint, secondEndpoint, useEndpoint } from "../../web3/session";
import { t } from "../../words";

export function Settings(): JSX.Element {
  const [url, setUrl] = useState(endpoint.value);
  const [second, setSecond] = useState(secondEndpoint.value);
  const [message, setMessage] = useState("");
  const known = deployment.value;
  const choose = (event: Event): void => {
    event.preventDefault();
    setMessage("");
    secondEndpoint.value = second.trim();
    void useEndpoint(url.trim()).then((good) => setMessage(good ? t("usedEndpoint", { url: url.trim() }) : ""));
  };
  return (
    <>
      <Heading title={t("settings")} />
      <form onSubmit={choose}>
        <div class="field">
          <label for="endpoint">{t("endpoint")}</label>
          <input id="endpoint" value={url} onInput={(event) => setUrl(event.currentTarget.value)} aria-describedby="endpoint-hint" spellcheck={false} />
          <p id="endpoint-hint" class="note">
            {t("endpointHint")}
          </p>
        </div>
        <div class="field">
          <label for="second">{t("secondEndpoint")}</label>
          <input id="second" value={second} onInput={(event) => setSecond(event.currentTarget.value)} spellcheck={false} />
        </div>
        <button type="submit" class="primary">
          {t("use")}
        </button>
        <p role="status">{message}</p>
      </form>
      {known && (
        <>
          <h2>{t("contracts")}</h2>
          <Table
            caption={t("contracts")}
            empty=""
            keyOf={(name) => name}
            rows={CONTRACTS}
            columns={[
              { name: t("contract"), cell: (name) => name },
              { name: t("address"), cell: (name) => <Account address={known.contracts[name].address} full /> },
            ]}
          />
        </>
      )}
    </>
  );
}
