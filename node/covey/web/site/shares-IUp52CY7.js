const t=10n**12n;function s(n,r){return n*(r.shares+t)/(r.tokens+t)}function e(n){return(n.tokens+t)*10n**18n/(n.shares+t)}export{e as p,s as t};
