{%- from "app/map.jinja" import app, at with context %}
{%- if at.user %}

# A real machine: the app has a user and a folder of its own. A sandbox is one user's altogether.
user:
  user.present:
    - name: {{ at.user | json }}
    - home: {{ at.base | json }}
    - createhome: False
    - system: True
    - shell: /usr/sbin/nologin

base:
  file.directory:
    - name: {{ at.base | json }}
    - user: {{ at.user | json }}
    - mode: '0750'
    - require:
      - user: user
    - require_in:
      - brinepool_app: checkout-lock
{%- endif %}

# A git that was killed, with a cancelled deploy for example, leaves locks on which every later one would fail.
checkout-lock:
  brinepool_app.unlocked:
    - name: {{ at.checkout | json }}

# One local branch of our own follows whatever is deployed: switching is a hard reset, so local changes, rewritten
# history and branches named like folders of others cannot stop it.
# No `depth`: git.latest then answers a branch that is not there with a sentence about depth, and builds that ask git
# for tags or history would break.
checkout:
  git.latest:
    - name: {{ salt['brinepool.repository'](app.repository) | json }}
    - rev: {{ app.branch | json }}
    - target: {{ at.checkout | json }}
    - branch: deployed
    - force_fetch: True
    - force_checkout: True
    - force_reset: True
{%- if at.user %}
    - user: {{ at.user | json }}
{%- endif %}
    - require:
      - brinepool_app: checkout-lock
