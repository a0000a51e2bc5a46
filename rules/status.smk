# How far everything is: which trainings are at which epoch, where, and how long it takes. Also while another run works.
# The run itself looks, before it starts any job, and then ends.
rule status:
    log:
        f"{LOGS}/experiments/{NAME}/status.log",
    localrule: True
    message:
        "looked how far everything is"
    run:
        pass
