"""The one script of a self-contained page: it chooses the language. Without it both languages are shown."""

from __future__ import annotations

import base64
import hashlib

import markupsafe

_TEXT = (
    '(function(){var r=document.documentElement,b=document.querySelectorAll("button[data-set]"),i;'
    "function set(l){r.className=l;r.lang=l==='en'?'en':'zh-Hans';"
    "b.forEach(function(x){x.setAttribute('aria-pressed',x.dataset.set===l?'true':'false')})}"
    "for(i=0;i<b.length;i++)b[i].addEventListener('click',function(){set(this.dataset.set)});"
    'document.querySelector(".languages").hidden=false;set("both")})()'
)

SCRIPT = markupsafe.Markup(_TEXT)
#: What a Content-Security-Policy names it by.
SCRIPT_HASH = base64.b64encode(hashlib.sha256(_TEXT.encode()).digest()).decode()
