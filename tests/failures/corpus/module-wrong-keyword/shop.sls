images:
  user.present:
    - name: ""
