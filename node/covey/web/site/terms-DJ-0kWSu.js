function i(e){return`${(e/100).toFixed(2)} %`}function t(e){return e.jailedUntil!==0?"jailed":e.bonded?"eligible":"notEligible"}export{i as b,t as s};
