catalogue:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/small/catalogue.csv
    - contents: "{{ 'dill;3.50 ' * 8000 }}"
