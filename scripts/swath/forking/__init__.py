"""A server that has imported torch, Raster Vision and the rest once, and from which rules' scripts are forked.

- ``start`` starts a server. It imports nothing before the first script asks for it.
- ``client`` is what runs in the place of ``python script.py``: a small program that hands its arguments, working
  directory, environment and standard streams to the server, passes signals on, and ends as the script ends.
- ``server`` forks twice for every client: a keeper, which waits for the script and speaks with the client, and the
  script. A keeper needs its server no more.

Which of them ends which:

| ends | what follows |
|---|---|
| whoever started the server, even by SIGKILL | the server takes no more scripts and ends; those that run go on |
| the server | the same |
| a client, even by SIGKILL | its script and all processes of the script's group are killed |
| a keeper | its script is killed, the client says so and fails |

A script finds what it would find in a process of its own: none of Swath's modules is imported before the fork. Where
that cannot be, because its environment differs in something that is read at the start or at an import, and where the
server does not answer, the client starts it as usual.
"""
