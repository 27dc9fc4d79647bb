import sys; sys.path.insert(0, "tests/operators")
from test_worker_job import *  # noqa
from airflow_provider_snowflake_batch.hooks import unload, worker_job
from airflow_provider_snowflake_batch.operators.job_record import JobRecords
class Dead(Exception): pass
@pytest.mark.parametrize("step", ["record","copy sent","copy done","list half","archive","job file","before submit","after submit"])
def test_kill(hook, dags, capsys, step, monkeypatch):
    before={j.name for j in hook.list_jobs()}
    store=Store()
    with monkeypatch.context() as m:
        W=SnowflakeBatchHook.write_file
        def wf(self, loc, content):
            l=str(loc)
            if step=="list half" and l.endswith("_unload.json"): raise Dead
            if step=="archive" and l.endswith(".pyz"): raise Dead
            if step=="job file" and l.endswith("JOB.json"): raise Dead
            return W(self, loc, content)
        m.setattr(SnowflakeBatchHook,"write_file",wf)
        if step=="copy sent":
            m.setattr(unload,"_wait_for_rows", lambda h,q: (_ for _ in ()).throw(Dead()))
            from airflow_provider_snowflake_batch.jobs import statements
            m.setattr(statements,"cancel_query", lambda q: "SELECT 1")
        if step=="copy done":
            m.setattr(unload,"_check_files", lambda *a: (_ for _ in ()).throw(Dead()))
        S=SnowflakeBatchHook.submit
        if step=="before submit": m.setattr(SnowflakeBatchHook,"submit", lambda s,j: (_ for _ in ()).throw(Dead()))
        if step=="after submit":
            def sub(s,j):
                S(s,j); raise Dead
            m.setattr(SnowflakeBatchHook,"submit", sub)
        if step=="record":
            B=JobRecords.begin
            def beg(s,r): B(s,r); raise Dead
            m.setattr(JobRecords,"begin",beg)
        try: execute(operator(dags), store); e=None
        except BaseException as x: e=x
    mid=[f.path for f in hook.list_files(f"@{STAGE}/")]
    r,_=execute(operator(dags), store)
    new={j.name for j in hook.list_jobs()}-before
    with capsys.disabled(): print("\n==",step,type(e).__name__,r["status"],r["rows"],len(new),results(hook,r["output_location"])["ID"].tolist(),"LEFT",staged(hook),"MID",len(mid))
